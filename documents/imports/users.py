"""Imports of many users, in batches of a few commands each.

All spellings of an address identify one user. A line finds an existing user by address, and leaves
the name unchanged, because staff may have corrected it. A unique address prevents two simultaneous
imports from storing a user twice.
"""

from dataclasses import dataclass
from typing import Any

from documents.imports.people import add_people, find_people
from documents.imports.record_import import RecordImport
from documents.imports.wakeups import wake_workers
from documents.user import User
from documents.values.address import to_canonical


@dataclass
class UserLine:
    """A line: its number in the input, the name and the address, and the canonical address."""

    number: int
    values: dict[str, Any]
    address: str


@dataclass
class UserImport(RecordImport[UserLine]):
    """An import of users. Each line has the arguments of `User.create`."""

    def _read_line(self, number: int, values: dict[str, Any]) -> UserLine:
        return UserLine(number, values, to_canonical(values["email"]))

    def _import(self, lines: list[UserLine]) -> None:
        first: dict[str, UserLine] = {}
        for line in lines:
            first.setdefault(line.address, line)
        emails = {address: line.values["email"] for address, line in first.items()}
        known = find_people(self.scope, emails)
        new = {address: line.values for address, line in first.items() if address not in known}
        self.found += len(lines) - len(new)
        if self.dry_run:
            self._count_new([address.encode() for address in new])
        elif new:
            self._store(new)

    def _store(self, new: dict[str, dict[str, Any]]) -> None:
        added = add_people(self.organization_id, new)
        self.created += len(added)
        self.found += len(new) - len(added)  # a simultaneous request added them
        wake_workers(User, list(added.values())[:1])
