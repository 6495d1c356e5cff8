"""Imports of many emails, in batches of a few commands each.

Imported emails are due, and settling counts them like others. A repeated import finds existing
emails. Mailing and user identify an email. Outside a mailing, fundraiser, user and time identify
it. A unique key of these fields prevents two simultaneous imports from storing an email twice.
"""

from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from bson import ObjectId
from mongoengine import get_db, signals
from pymongo.errors import BulkWriteError

from config.database import await_majority
from documents.email import Email
from documents.imports.line import ImportKey, ImportLine
from documents.index_tables.user_index import add_missing_rows, delete_rows
from documents.people.search_words import list_search_words
from documents.people.spellings import index_people, list_all_address_keys
from documents.rows.collections import T, collection
from documents.rows.email import EmailRow
from documents.rows.fundraiser import FundraiserRow, MailingRow
from documents.rows.user import UserRow
from documents.storage.marks import build_text_condition
from documents.storage.transaction import DUPLICATE_KEY_CODE
from documents.values.address import to_canonical

LINES_PER_BATCH = 1000
MAX_REJECTED_LINES = 1000


@dataclass
class EmailImport:
    """A running import. The caller adds or rejects lines, and calls `flush` at the end.

    Args:
        dry_run: whether to report the result without storing anything.
    """

    organization_id: ObjectId
    dry_run: bool = False
    created: int = 0
    found: int = 0
    refused_count: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    _lines: list[ImportLine] = field(default_factory=list)
    _dry: set[ImportKey] = field(default_factory=set)

    def add(self, number: int, values: dict[str, Any]) -> None:
        """Add a line that passed validation.

        Raises:
            PyMongoError: the database is unavailable.
        """
        user = values.get("user")
        line = ImportLine(number, values, address=to_canonical(user["email"]) if user else None)
        self._lines.append(line)
        if len(self._lines) >= LINES_PER_BATCH:
            self.flush()

    def refuse(self, number: int, errors: Iterable[dict[str, str]], left_out: int = 0) -> None:
        """Reject a line. The import continues, and keeps the first thousand rejected lines.

        Args:
            number: the number of the line, from 1.
            errors: the errors to list.
            left_out: the number of further errors on the line.
        """
        self.refused_count += 1
        if len(self.refused) == MAX_REJECTED_LINES and number > self.refused[-1]["line"]:
            return
        # Lines that only the database proves wrong arrive here after later lines.
        line = {"line": number, "errors": list(errors), "errors_left_out": left_out}
        insort(self.refused, line, key=itemgetter("line"))
        del self.refused[MAX_REJECTED_LINES:]

    @property
    def refused_left_out(self) -> int:
        """Number of rejected lines that the import counts but does not list."""
        return self.refused_count - len(self.refused)

    def flush(self) -> None:
        """Store the added lines.

        Raises:
            PyMongoError: the database is unavailable. A repeated import finds the stored emails.
        """
        lines = self._known_parents(self._lines)
        self._lines = []
        lines = self._with_users(lines)
        new = self._not_stored(lines)
        if not self.dry_run:
            self._store(new)
        else:
            self._dry |= {line.key for line in new}
            self.created += len(new)

    def _known_parents(self, lines: list[ImportLine]) -> list[ImportLine]:
        """Return the lines with a known fundraiser and mailing, and reject other lines."""
        fundraisers = self._by_id(FundraiserRow, {line.values["fundraiser_id"] for line in lines})
        named = {line.values.get("mailing_id") for line in lines} - {None}
        mailings = self._by_id(MailingRow, named, "fundraiser_id", "sent_at")
        good = []
        for line in lines:
            fundraiser_id, mailing_id = (
                line.values.get(name) for name in ("fundraiser_id", "mailing_id")
            )
            line.mailing = mailings.get(mailing_id) if mailing_id else None
            if fundraiser_id not in fundraisers:
                self._refuse_name(line, "fundraiser_id", "Must be the ID of a fundraiser.")
            elif mailing_id and not (
                line.mailing and line.mailing["fundraiser_id"] == fundraiser_id
            ):
                self._refuse_name(
                    line, "mailing_id", "Must be the ID of a mailing of this fundraiser."
                )
            else:
                good.append(line)
        return good

    def _refuse_name(self, line: ImportLine, name: str, detail: str) -> None:
        error = {"pointer": f"/{name}", "code": "not_found", "detail": detail}
        self.refuse(line.number, [error])

    def _with_users(self, lines: list[ImportLine]) -> list[ImportLine]:
        """Add missing users. Return the lines with their user IDs, and reject other lines."""
        ids = {line.values.get("user_id") for line in lines} - {None}
        by_id = self._by_id(UserRow, ids)
        addresses = {line.address: line for line in lines if line.address}
        by_address = self._users(addresses)
        missing = {name: line for name, line in addresses.items() if name not in by_address}
        if missing and not self.dry_run:
            self._add_users(list(missing.values()))
            by_address |= self._users(missing)
        good = []
        for line in lines:
            if line.address:
                line.user_id = by_address.get(line.address)
            elif line.values["user_id"] in by_id:
                line.user_id = line.values["user_id"]
            if line.user_id or (self.dry_run and line.address):
                good.append(line)
            elif line.address:  # a request deleted the user during the import
                self._refuse_name(
                    line, "user", "The user was deleted during the import. Import this line again."
                )
            else:
                self._refuse_name(line, "user_id", "Must be the ID of a user.")
        return good

    def _add_users(self, lines: list[ImportLine]) -> None:
        rows = [self._user_row(line) for line in lines]
        add_missing_rows(rows)
        if refused := self._insert(UserRow, rows):
            delete_rows([rows[place]["_id"] for place in refused])

    def _user_row(self, line: ImportLine) -> UserRow:
        row = line.user_row(self.organization_id)
        return {**row, "words": list_search_words(row["name"], row["email"])}

    def _users(self, lines: Mapping[str, ImportLine]) -> dict[str, ObjectId]:
        """Return the IDs of the users that the lines name, by canonical address."""
        emails = {address: line.values["user"]["email"] for address, line in lines.items()}
        query = {
            "address": build_text_condition(in_=list_all_address_keys(emails.values())),
            **self._scope,
        }
        known = index_people(collection(get_db(), UserRow).find(query, {"address": 1, "email": 1}))
        return {address: id_ for address, email in emails.items() if (id_ := known.get(email))}

    def _not_stored(self, lines: list[ImportLine]) -> list[ImportLine]:
        """Return the lines whose email does not exist. Of equal lines, return the first."""
        known = self._stored_keys(lines) | self._dry
        new: dict[ImportKey, ImportLine] = {}
        for line in lines:
            if line.key in known or line.key in new:
                self.found += 1
            else:
                new[line.key] = line
        return list(new.values())

    def _stored_keys(self, lines: list[ImportLine]) -> set[ImportKey]:
        query = {
            "user_id": {"$in": [line.user_id for line in lines if line.user_id]},
            "fundraiser_id": {"$in": list({line.values["fundraiser_id"] for line in lines})},
            **self._scope,
        }
        fields = ("user_id", "fundraiser_id", "mailing_id", "sent_at")
        keys: set[ImportKey] = set()
        for email in collection(get_db(), EmailRow).find(query, dict.fromkeys(fields, 1)):
            who = email["user_id"]
            if email.get("mailing_id"):
                keys.add((email["mailing_id"], who, None))
            else:  # a line without a time matches an email of any time
                keys.add((email["fundraiser_id"], who, email.get("sent_at")))
                keys.add((email["fundraiser_id"], who, None))
        return keys

    def _store(self, new: list[ImportLine]) -> None:
        rows = [line.email_row(self.organization_id) for line in new]
        refused = self._insert(EmailRow, rows)
        self.created += len(rows) - len(refused)
        self.found += len(refused)  # a simultaneous import stored them
        documents = [Email(id=row["_id"], fundraiser_id=row["fundraiser_id"]) for row in rows]
        signals.post_bulk_insert.send(Email, documents=documents, loaded=False)

    def _insert(self, row: type[T], rows: list[T]) -> set[int]:
        """Insert rows. Return the indexes of the rows whose unique key already exists."""
        if not rows:
            return set()
        try:
            collection(get_db(), row).insert_many(rows, ordered=False)
        except BulkWriteError as error:
            problems = error.details.get("writeErrors", []) if error.details else []
            codes = {problem["code"] for problem in problems}
            # The import must not acknowledge lines that a failover could lose.
            if codes != {DUPLICATE_KEY_CODE} or error.details.get("writeConcernErrors"):
                raise
            await_majority()
            return {problem["index"] for problem in problems}
        return set()

    def _by_id(self, row: type[T], ids: set[Any], *fields: str) -> dict[ObjectId, T]:
        query = {"_id": {"$in": list(ids)}, **self._scope}
        rows = collection(get_db(), row)
        found = rows.find(query, dict.fromkeys(("_id", *fields), 1)) if ids else ()
        return {one["_id"]: one for one in found}

    @property
    def _scope(self) -> dict[str, Any]:
        return {"organization_id": self.organization_id, "deleted_at": None}
