"""Outbox of mails: one row for each mail and recipient, which is sent after it is stored.

A row has a natural key, so storing it again changes nothing. It holds no address and no content,
because the sender reads both when it sends the mail.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from bson import ObjectId
from mongoengine import DateTimeField, DictField, IntField, ObjectIdField, StringField, get_db
from pymongo.errors import DuplicateKeyError

from config.settings import get_settings
from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META
from documents.values.time import now

MailState = Literal["waiting", "sent", "failed", "dropped"]
# Longer than any period of a digest, so that a key stays known while it can be stored again.
MAIL_RETENTION_SECONDS = 100 * 24 * 3600
# Longer than one attempt can take (see smtp.py), so that two processes do not send the same mail.
CLAIM_SECONDS = 180.0
WAITING_FILTER: dict[str, Any] = {"next_attempt_at": {"$type": "date"}}
FAILED_FILTER: dict[str, Any] = {"failed_at": {"$type": "date"}}


def has_mail_server() -> bool:
    """Return whether the settings name a mail server. Otherwise, Matchback sends no mail."""
    return bool(get_settings().smtp_url)


class Mail(Document):
    """A mail to one staff member.

    Attributes:
        key: natural key, such as "digest:<staff>:<fundraiser>:2026-W48".
        kind: chooses the renderer.
        params: what the renderer needs; never a name or an address of a donor.
        next_attempt_at: set while the mail waits. A claim moves it into the future.
        claim: token of the process that sends the mail.
        sent_at, failed_at: set at the end. A dropped mail has neither.
        tries: failed attempts.
        error: the server's answer to the last failed attempt, without addresses.
    """

    key = StringField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    staff_id = ObjectIdField(required=True)
    kind = StringField(required=True)
    params = DictField()
    created_at = DateTimeField(required=True)
    next_attempt_at = DateTimeField()
    claim = StringField()
    sent_at = DateTimeField()
    failed_at = DateTimeField()
    tries = IntField(default=0)
    error = StringField()

    meta = {
        "collection": "mails",
        "auto_create_index": False,
        "indexes": [
            {"fields": ["next_attempt_at"], "partialFilterExpression": WAITING_FILTER},
            {"fields": ["failed_at"], "partialFilterExpression": FAILED_FILTER},
            {"fields": ["created_at"], "expireAfterSeconds": MAIL_RETENTION_SECONDS},
        ],
        **OWNED_META,
    }

    @classmethod
    def put(
        cls,
        key: str,
        kind: str,
        *,
        organization_id: ObjectId,
        staff_id: ObjectId,
        params: Mapping[str, Any] | None = None,
    ) -> bool:
        """Store a mail unless its key is known. Return whether it is new.

        Without a mail server in the settings, store nothing.
        """
        if not has_mail_server():
            return False
        time = now()
        row = {
            "_id": key,
            "organization_id": organization_id,
            "staff_id": staff_id,
            "kind": kind,
            "params": dict(params or {}),
            "created_at": time,
            "next_attempt_at": time,
            "tries": 0,
        }
        try:
            get_db().mails.insert_one(row)
        except DuplicateKeyError:
            return False
        return True

    @classmethod
    def is_any_due(cls, at: datetime) -> bool:
        """Return whether a mail is due."""
        return get_db().mails.find_one(_due_by(at), {"_id": 1}) is not None

    @classmethod
    def claim_next(cls, at: datetime) -> Self | None:
        """Claim the mail that has been due for longest; None if none is due."""
        token = secrets.token_hex(8)
        found = get_db().mails.find_one_and_update(
            _due_by(at),
            {"$set": {"next_attempt_at": at + timedelta(seconds=CLAIM_SECONDS), "claim": token}},
            sort=[("next_attempt_at", 1)],
            return_document=True,
        )
        return None if found is None else cls._from_son(found)

    def mark_sent(self) -> None:
        """Note that the server accepted the mail."""
        self._end({"sent_at": now()})

    def mark_failed(self, error: str) -> None:
        """Note that the mail cannot be sent."""
        self._end({"failed_at": now(), "error": error, "tries": self.tries + 1})

    def drop(self) -> None:
        """Note that there is nothing to send any more."""
        self._end({})

    def retry_at(self, at: datetime, error: str) -> None:
        """Note a failed attempt, and plan the next one."""
        self._update({"next_attempt_at": at, "error": error, "tries": self.tries + 1})

    def _end(self, values: dict[str, Any]) -> None:
        self._update(values, {"next_attempt_at": "", "claim": ""})

    def _update(self, values: dict[str, Any], removed: dict[str, str] | None = None) -> None:
        """Update the mail unless another process has claimed it since."""
        update = {"$set": values, "$unset": removed or {"claim": ""}}
        get_db().mails.update_one(
            {"_id": self.key, "claim": self.claim},
            {name: one for name, one in update.items() if one},
        )

    @property
    def is_for_person(self) -> bool:
        """Whether the mail is about the person's account, and not about one organization."""
        return bool(self.params.get("is_for_person"))

    @property
    def state(self) -> MailState:
        """Result of the mail, or `waiting`."""
        if self.next_attempt_at is not None:
            return "waiting"
        if self.sent_at is not None:
            return "sent"
        return "failed" if self.failed_at is not None else "dropped"


def _due_by(at: datetime) -> dict[str, Any]:
    return {"next_attempt_at": {"$type": "date", "$lte": at}}
