"""One line of an import, and the documents that it becomes."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId

from documents.email import Email
from documents.rows.email import EmailRow
from documents.rows.fundraiser import MailingRow
from documents.rows.user import UserRow
from documents.storage.record import new_row
from documents.user import User, named
from documents.values.time import now

KEY_BYTES = 12

Key = tuple[ObjectId, Any, datetime | None]  # mailing or fundraiser; user or address; time


@dataclass
class Line:
    """One email to be: its number in the input, and what `Email.create` takes."""

    number: int
    values: dict[str, Any]
    address: str | None = None
    user_id: ObjectId | None = None
    mailing: MailingRow | None = None

    @property
    def key(self) -> Key:
        """What it is found by when it is imported again."""
        who = self.user_id or self.address
        if self.mailing:
            return self.mailing["_id"], who, None
        return self.values["fundraiser_id"], who, self.values.get("sent_at")

    @property
    def stored_key(self) -> str:
        """The same, as a text that is unique in the organization."""
        return hashlib.blake2b(repr(self.key).encode(), digest_size=KEY_BYTES).hexdigest()

    def user_row(self, organization_id: ObjectId) -> UserRow:
        """The user to be added for it."""
        user = self.values["user"]
        row: UserRow = new_row(
            User,
            organization_id=organization_id,
            **named(user["name"], user["email"]),
        )
        return row

    def email_row(self, organization_id: ObjectId) -> EmailRow:
        """The email to be stored, due like one that was posted."""
        sent_at = (self.mailing.get("sent_at") if self.mailing else None) or now()
        row: EmailRow = new_row(
            Email,
            organization_id=organization_id,
            fundraiser_id=self.values["fundraiser_id"],
            mailing_id=self.mailing["_id"] if self.mailing else None,
            user_id=self.user_id,
            sent_at=self.values.get("sent_at", sent_at),
            import_key=self.stored_key,
            due=now(),
        )
        return row
