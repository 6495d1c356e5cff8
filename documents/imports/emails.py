"""Imports of many emails: batches with a handful of commands each, whatever their size.

Imported emails are due, and settling counts them like others. A repeated import finds the emails
that exist. An email is known by its mailing and user. Outside a mailing, it is known by its
fundraiser, user and time. A unique key of these keeps two simultaneous imports apart.
"""

from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from bson import ObjectId
from mongoengine import get_db, signals
from pymongo.errors import BulkWriteError

from config.database import catch_up
from documents.email import Email
from documents.imports.line import Key, Line
from documents.people.search_words import words_of
from documents.people.spellings import all_keys, people
from documents.rows.collections import T, collection
from documents.rows.email import EmailRow
from documents.rows.fundraiser import FundraiserRow, MailingRow
from documents.rows.user import UserRow
from documents.storage.marks import text
from documents.storage.transaction import DUPLICATE_KEY
from documents.values.address import canonical

LINES_A_BATCH = 1000
REFUSED_KEPT = 1000


@dataclass
class EmailImport:
    """An import under way. Lines are added, or refused; `flush` at the end.

    Args:
        dry_run: only say what would be done.
    """

    organization_id: ObjectId
    dry_run: bool = False
    created: int = 0
    found: int = 0
    refused_count: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    _lines: list[Line] = field(default_factory=list)
    _dry: set[Key] = field(default_factory=set)

    def add(self, number: int, values: dict[str, Any]) -> None:
        """One line, checked for its form."""
        user = values.get("user")
        line = Line(number, values, address=canonical(user["email"]) if user else None)
        self._lines.append(line)
        if len(self._lines) >= LINES_A_BATCH:
            self.flush()

    def refuse(self, number: int, errors: Iterable[dict[str, str]], left_out: int = 0) -> None:
        """Reject a line. The other lines go on. The first thousand rejected lines are kept.

        Args:
            number: the line's, from 1.
            errors: those to list.
            left_out: how many more errors the line has.
        """
        self.refused_count += 1
        if len(self.refused) == REFUSED_KEPT and number > self.refused[-1]["line"]:
            return
        # A line that only the database shows to be wrong is rejected after later ones.
        line = {"line": number, "errors": list(errors), "errors_left_out": left_out}
        insort(self.refused, line, key=itemgetter("line"))
        del self.refused[REFUSED_KEPT:]

    @property
    def refused_left_out(self) -> int:
        """How many rejected lines are counted but not kept."""
        return self.refused_count - len(self.refused)

    def flush(self) -> None:
        """Store what was added.

        Raises:
            PyMongoError: the database is away. What was stored is found when it is tried again.
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

    def _known_parents(self, lines: list[Line]) -> list[Line]:
        """The lines whose fundraiser and mailing are the organization's."""
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
                self._refuse_name(line, "fundraiser_id", "There is no such fundraiser.")
            elif mailing_id and not (
                line.mailing and line.mailing["fundraiser_id"] == fundraiser_id
            ):
                self._refuse_name(
                    line, "mailing_id", "There is no such mailing of this fundraiser."
                )
            else:
                good.append(line)
        return good

    def _refuse_name(self, line: Line, name: str, detail: str) -> None:
        error = {"pointer": f"/{name}", "code": "not_found", "detail": detail}
        self.refuse(line.number, [error])

    def _with_users(self, lines: list[Line]) -> list[Line]:
        """The lines with the ids of their users, who are added when there are none."""
        ids = {line.values.get("user_id") for line in lines} - {None}
        by_id = self._by_id(UserRow, ids)
        addresses = {line.address: line for line in lines if line.address}
        by_address = self._users(addresses)
        missing = {name: line for name, line in addresses.items() if name not in by_address}
        if missing and not self.dry_run:
            self._insert(UserRow, [self._user_row(line) for line in missing.values()])
            by_address |= self._users(missing)
        good = []
        for line in lines:
            if line.address:
                line.user_id = by_address.get(line.address)
            elif line.values["user_id"] in by_id:
                line.user_id = line.values["user_id"]
            if line.user_id or (self.dry_run and line.address):
                good.append(line)
            elif line.address:  # deleted at this moment
                self._refuse_name(line, "user", "The user was just deleted; try again.")
            else:
                self._refuse_name(line, "user_id", "There is no such user.")
        return good

    def _user_row(self, line: Line) -> UserRow:
        row = line.user_row(self.organization_id)
        return {**row, "words": words_of(row["name"], row["email"])}

    def _users(self, lines: Mapping[str, Line]) -> dict[str, ObjectId]:
        """Return the IDs of the users whom these lines name, by their canonical addresses."""
        emails = {address: line.values["user"]["email"] for address, line in lines.items()}
        query = {"address": text(in_=all_keys(emails.values())), **self._scope}
        known = people(collection(get_db(), UserRow).find(query, {"address": 1, "email": 1}))
        return {address: id_ for address, email in emails.items() if (id_ := known.get(email))}

    def _not_stored(self, lines: list[Line]) -> list[Line]:
        """The lines whose email there is not yet; of several that say the same, the first."""
        known = self._stored_keys(lines) | self._dry
        new: dict[Key, Line] = {}
        for line in lines:
            if line.key in known or line.key in new:
                self.found += 1
            else:
                new[line.key] = line
        return list(new.values())

    def _stored_keys(self, lines: list[Line]) -> set[Key]:
        query = {
            "user_id": {"$in": [line.user_id for line in lines if line.user_id]},
            "fundraiser_id": {"$in": list({line.values["fundraiser_id"] for line in lines})},
            **self._scope,
        }
        fields = ("user_id", "fundraiser_id", "mailing_id", "sent_at")
        keys: set[Key] = set()
        for email in collection(get_db(), EmailRow).find(query, dict.fromkeys(fields, 1)):
            who = email["user_id"]
            if email.get("mailing_id"):
                keys.add((email["mailing_id"], who, None))
            else:  # a line without a time means whichever there is
                keys.add((email["fundraiser_id"], who, email.get("sent_at")))
                keys.add((email["fundraiser_id"], who, None))
        return keys

    def _store(self, new: list[Line]) -> None:
        rows = [line.email_row(self.organization_id) for line in new]
        refused = self._insert(EmailRow, rows)
        self.created += len(rows) - len(refused)
        self.found += len(refused)  # by another import, just now
        documents = [Email(id=row["_id"], fundraiser_id=row["fundraiser_id"]) for row in rows]
        signals.post_bulk_insert.send(Email, documents=documents, loaded=False)

    def _insert(self, row: type[T], rows: list[T]) -> set[int]:
        """Insert rows. Return the indexes of those whose unique key is taken."""
        if not rows:
            return set()
        try:
            collection(get_db(), row).insert_many(rows, ordered=False)
        except BulkWriteError as error:
            problems = error.details.get("writeErrors", []) if error.details else []
            codes = {problem["code"] for problem in problems}
            # Lines that no majority has must not be acknowledged.
            if codes != {DUPLICATE_KEY} or error.details.get("writeConcernErrors"):
                raise
            catch_up()
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
