"""A line of an import, and the documents that it creates."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId

from documents.email import Email
from documents.rows.email import EmailRow
from documents.rows.fundraiser import MailingRow
from documents.rows.user import UserRow
from documents.storage.record import build_record_row
from documents.user import User, build_user_values
from documents.values.time import now

IMPORT_KEY_BYTES = 12

# Mailing or fundraiser, user or address, and time.
ImportKey = tuple[ObjectId, Any, datetime | None]


@dataclass
class ImportLine:
    """A line: its number in the input, and the arguments of `Email.create`."""

    number: int
    values: dict[str, Any]
    address: str | None = None
    user_id: ObjectId | None = None
    mailing: MailingRow | None = None

    @property
    def key(self) -> ImportKey:
        """The key by which a repeated import finds the email."""
        who = self.user_id or self.address
        if self.mailing:
            return self.mailing["_id"], who, None
        return self.values["fundraiser_id"], who, self.values.get("sent_at")

    @property
    def stored_key(self) -> str:
        """The digest of `key`, which is unique in the organization."""
        return hashlib.blake2b(repr(self.key).encode(), digest_size=IMPORT_KEY_BYTES).hexdigest()

    def user_row(self, organization_id: ObjectId) -> UserRow:
        """Return the user to add for the line."""
        user = self.values["user"]
        row: UserRow = build_record_row(
            User,
            organization_id=organization_id,
            **build_user_values(user["name"], user["email"]),
        )
        return row

    def email_row(self, organization_id: ObjectId) -> EmailRow:
        """Return the email to store, which is due like an email from the API."""
        sent_at = (self.mailing.get("sent_at") if self.mailing else None) or now()
        row: EmailRow = build_record_row(
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
