"""A line of an import of emails, and the email that it creates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Self, cast

from bson import ObjectId

from documents.email import Email
from documents.email_recording import build_sent_fields, make_import_key
from documents.imports.parents import ChildLine
from documents.rows.email import EmailRow
from documents.segments.recording import SegmentOwner, build_segment_values
from documents.storage.record import build_record_row
from documents.values.time import now

# Mailing or fundraiser, user or address, and time.
EmailKey = tuple[ObjectId | None, Any, datetime | None]


@dataclass
class EmailLine(ChildLine):
    """A line with the arguments of `record_email`.

    Attributes:
        address: the canonical address of `user`; None if the line has `user_id`.
        user_id: the user, once known.
        repeats: later lines of the batch with the same key.
        user_email: the user's address, once known.
        attributes: the user's attributes with those of the line, once known.
    """

    address: str | None = None
    user_id: ObjectId | None = None
    repeats: list[Self] = field(default_factory=list)
    user_email: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def key(self) -> EmailKey:
        """The key by which a repeated import finds the email. Read it after the user is known."""
        who = self.user_id or self.address
        if self.mailing:
            return self.mailing["_id"], who, None
        return self.fundraiser_id, who, self.values.get("sent_at")

    @property
    def digest(self) -> bytes:
        """The digest of `key`."""
        return make_import_key(self.key)

    def build_row(self, organization_id: ObjectId) -> EmailRow:
        """Return the email to store, which is due like an email from the API."""
        assert self.user_id is not None
        default = (self.mailing.get("sent_at") if self.mailing else None) or now()
        sent_at = self.values.get("sent_at", default)
        mailing_id = self.mailing["_id"] if self.mailing else None
        owner = SegmentOwner(organization_id, cast("ObjectId", self.fundraiser_id), mailing_id)
        sent = build_sent_fields(self.mailing, self.user_id, sent_at, self.values.get("arm"))
        row: EmailRow = build_record_row(
            Email,
            organization_id=organization_id,
            fundraiser_id=self.fundraiser_id,
            mailing_id=mailing_id,
            user_id=self.user_id,
            import_key=self.digest.hex(),
            due=now(),
            **sent,
            **build_segment_values(owner, self.user_email, self.attributes, sent.get("arm_id")),
        )
        return row
