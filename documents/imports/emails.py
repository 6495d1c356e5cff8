"""Imports of many emails, in batches of a few commands each.

Imported emails are due, and settling counts them like others. A repeated import finds existing
emails. Mailing and user identify an email. Outside a mailing, fundraiser, user and time identify
it. A unique key of these fields prevents two simultaneous imports from storing an email twice.

An email of an experiment can be held out, so that it must not be sent. The import lists the lines
of such emails, new or not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.email import Email
from documents.experiment import UNKNOWN_ARM_DETAIL, has_arm, start_experiments
from documents.imports.email_line import EmailKey, EmailLine
from documents.imports.inserts import insert_missing
from documents.imports.parents import find_parents
from documents.imports.people import AttributeUpdates, add_people, find_people
from documents.imports.record_import import RecordImport
from documents.imports.wakeups import wake_workers
from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.user import UserRow
from documents.values.address import to_canonical
from documents.values.attributes import TOO_MANY_ATTRIBUTES_MESSAGE

EMAIL_KEY_FIELDS = ("user_id", "fundraiser_id", "mailing_id", "sent_at", "held_out")
MAX_LISTED_HELD_OUT_LINES = 100_000


@dataclass
class EmailImport(RecordImport[EmailLine]):
    """An import of emails. Each line has the fields that `record_email` takes.

    A line can omit `fundraiser_id` if it has `mailing_id`.

    Attributes:
        held_out_lines: numbers of the lines whose email must not be sent, at most 100,000.
    """

    held_out_lines: list[int] = field(default_factory=list)

    @property
    def held_out_left_out(self) -> int:
        """Number of held-out lines that the import counts but does not list."""
        return self.held_out_count - len(self.held_out_lines)

    def _read_line(self, number: int, values: dict[str, Any]) -> EmailLine:
        user = values.get("user")
        return EmailLine(number, values, address=to_canonical(user["email"]) if user else None)

    def _import(self, lines: list[EmailLine]) -> None:
        known = self._with_users(self._with_arms(find_parents(self, lines)))
        new = self._not_stored(known)
        if self.dry_run:
            self._count_new([line.digest for line in new])
        elif new:
            self._store(new)

    def _with_arms(self, lines: list[EmailLine]) -> list[EmailLine]:
        """Return the lines without those that name an unknown arm, which it rejects."""
        good = []
        for line in lines:
            name = line.values.get("arm")
            if name is None or has_arm(line.mailing, name):
                good.append(line)
            else:
                self.refuse_field(line, "arm", UNKNOWN_ARM_DETAIL)
        return good

    def _with_users(self, lines: list[EmailLine]) -> list[EmailLine]:
        """Add missing users. Return the lines with their user IDs, and reject other lines."""
        ids = {line.values.get("user_id") for line in lines} - {None}
        by_id = self.read_by_id(UserRow, ids)
        people = {line.address: line.values["user"] for line in lines if line.address}
        by_address = self._find_or_add(people)
        good = []
        for line in lines:
            if line.address:
                line.user_id = by_address.get(line.address)
            elif line.values["user_id"] in by_id:
                line.user_id = line.values["user_id"]
            if line.user_id or (self.dry_run and line.address):
                good.append(line)
            elif line.address:  # a request deleted the user during the import
                self.refuse_field(
                    line, "user", "The user was deleted during the import. Import this line again."
                )
            else:
                self.refuse_field(line, "user_id", "Must be the ID of a user.")
        return self._with_attributes(good)

    def _with_attributes(self, lines: list[EmailLine]) -> list[EmailLine]:
        """Set each line's address and attributes. Reject lines with too many attributes."""
        ids = {line.user_id for line in lines if line.user_id}
        rows = self.read_by_id(UserRow, ids, "email", "attributes")
        updates, good = AttributeUpdates(self.scope, rows), []
        for line in lines:
            given = (line.values.get("user") or {}).get("attributes", {})
            if line.user_id and line.user_id in rows:
                line.user_email = rows[line.user_id]["email"]
            merged = updates.add(line.user_id, given) if line.user_id else given
            if merged is None:
                self.refuse_field(
                    line, "user/attributes", TOO_MANY_ATTRIBUTES_MESSAGE, "too_many_attributes"
                )
            else:
                line.attributes = merged
                good.append(line)
        if not self.dry_run:
            updates.write()
        return good

    def _find_or_add(self, people: dict[str, Any]) -> dict[str, ObjectId]:
        emails = {address: user["email"] for address, user in people.items()}
        known = find_people(self.scope, emails)
        missing = {address: user for address, user in people.items() if address not in known}
        if missing and not self.dry_run:
            known |= add_people(self.organization_id, missing)
            # A simultaneous request added the others.
            rest = {address: emails[address] for address in missing if address not in known}
            known |= find_people(self.scope, rest)
        return known

    def _not_stored(self, lines: list[EmailLine]) -> list[EmailLine]:
        """Return the lines whose email does not exist. Of equal lines, return the first."""
        known = self._stored_keys(lines)
        new: dict[EmailKey, EmailLine] = {}
        for line in lines:
            if line.key in known:
                self.found += 1
                self._note_held_out([line.number] if known[line.key] else ())
            elif line.key in new:
                self.found += 1
                new[line.key].repeats.append(line.number)
            else:
                new[line.key] = line
        return list(new.values())

    def _note_held_out(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.held_out_count += 1
            if len(self.held_out_lines) < MAX_LISTED_HELD_OUT_LINES:
                self.held_out_lines.append(number)

    def _stored_keys(self, lines: list[EmailLine]) -> dict[EmailKey, bool]:
        """Return the keys of stored emails, and whether each email is held out."""
        users = [line.user_id for line in lines if line.user_id]
        if not users:
            return {}
        query = {
            "user_id": {"$in": users},
            "fundraiser_id": {"$in": list({line.fundraiser_id for line in lines})},
            **self.scope,
        }
        keys: dict[EmailKey, bool] = {}
        fields = dict.fromkeys(EMAIL_KEY_FIELDS, 1)
        for email in collection(get_db(), EmailRow).find(query, fields):
            who = email["user_id"]
            if email.get("mailing_id"):
                key = email["mailing_id"], who, None
                keys[key] = keys.get(key, False) or bool(email.get("held_out"))
            else:  # a line without a time matches an email of any time
                keys[email["fundraiser_id"], who, email.get("sent_at")] = False
                keys[email["fundraiser_id"], who, None] = False
        return keys

    def _store(self, new: list[EmailLine]) -> None:
        start_experiments([line.mailing for line in new if line.mailing])
        new = self._with_arms(new)  # a request may have changed the experiment before its start
        rows = [line.build_row(self.organization_id) for line in new]
        refused = insert_missing(EmailRow, rows)
        # A simultaneous import stored these, and it may name other arms.
        stored = self._stored_keys([new[place] for place in refused])
        for place, (line, row) in enumerate(zip(new, rows, strict=True)):
            if stored.get(line.key) if place in refused else row.get("held_out"):
                self._note_held_out([line.number, *line.repeats])
        self.created += len(rows) - len(refused)
        self.found += len(refused)  # a simultaneous import stored them
        wake_workers(Email, {row["fundraiser_id"]: row["_id"] for row in rows}.values())
