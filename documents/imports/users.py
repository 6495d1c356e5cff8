"""Imports of many users, in batches of a few commands each.

All spellings of an address identify one user. A line finds an existing user by address, and leaves
the name unchanged, because staff may have corrected it. It adds its attributes. A unique address
prevents two simultaneous imports from storing a user twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from documents.imports.people import AttributeUpdates, add_people, find_people
from documents.imports.record_import import RecordImport
from documents.imports.wakeups import wake_workers
from documents.rows.user import UserRow
from documents.user import User
from documents.values.address import to_canonical
from documents.values.attributes import TOO_MANY_ATTRIBUTES_MESSAGE


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
        again = [line for line in lines if line.address in known or line is not first[line.address]]
        self.found += len(again)
        if self.dry_run:
            self._count_new([address.encode() for address in new])
        elif new:
            added = self._store(new)
            again += [line for address, line in first.items() if address in new.keys() - added]
            known = find_people(self.scope, emails) if len(added) < len(new) else known | added
        self._add_attributes(again, known)

    def _store(self, new: dict[str, dict[str, Any]]) -> dict[str, ObjectId]:
        added = add_people(self.organization_id, new)
        self.created += len(added)
        self.found += len(new) - len(added)  # a simultaneous request added them
        wake_workers(User, list(added.values())[:1])
        return added

    def _add_attributes(self, lines: list[UserLine], ids: Mapping[str, ObjectId]) -> None:
        """Add the attributes of lines whose users exist. Reject lines with too many."""
        given = [
            (line, ids[line.address], attributes)
            for line in lines
            if line.address in ids and (attributes := line.values.get("attributes"))
        ]
        rows = self.read_by_id(UserRow, {user_id for _, user_id, _ in given}, "attributes")
        updates = AttributeUpdates(self.scope, rows)
        for line, user_id, attributes in given:
            if updates.add(user_id, attributes) is None:
                self.found -= 1
                self.refuse_field(
                    line, "attributes", TOO_MANY_ATTRIBUTES_MESSAGE, code="too_many_attributes"
                )
        if not self.dry_run:
            updates.write()
