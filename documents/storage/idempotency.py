"""Idempotency keys: a repeated request with the same key is done once and gets the same answer.

The key's record holds the ID of the record to come, from before the work begins. If the process
dies, a repeated request finds that ID and creates no second record.
"""

import hashlib
import os
from datetime import UTC, datetime, timedelta
from typing import Self

from bson import Binary, ObjectId
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from mongoengine import (
    BinaryField,
    DateTimeField,
    IntField,
    NotUniqueError,
    ObjectIdField,
    StringField,
)

from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META
from documents.values.time import now

IDEMPOTENCY_RETENTION_SECONDS = 48 * 3600
# Longer than a request can take, whatever hangs: by then nobody is at work on it any more.
REQUEST_ABANDONED_AFTER = timedelta(seconds=30)
ABANDONED_REQUEST_TIME = datetime(2000, 1, 1, tzinfo=UTC)
ANSWER_NONCE_BYTES = 12


class KeyInUse(Exception):
    """The first request with this key is still running."""


class KeyReused(Exception):
    """The key was used with another request."""


class IdempotencyKey(Document):
    """One key of one organization, and what was answered under it.

    The id is a digest of the key, and the answer is sealed with the key itself, which is not
    stored: an answer may hold personal data, or the secret of a new API key.
    """

    id = BinaryField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    request = BinaryField(required=True)
    record_id = ObjectIdField(required=True)
    created_at = DateTimeField(default=now)
    taken_at = DateTimeField(default=now)
    status = IntField()
    location = StringField()
    answer = BinaryField()

    meta = {
        "collection": "idempotency_keys",
        **OWNED_META,
        "auto_create_index": False,
        "indexes": [
            {"fields": ["created_at"], "expireAfterSeconds": IDEMPOTENCY_RETENTION_SECONDS}
        ],
    }

    @classmethod
    def take(cls, organization_id: ObjectId, key: str, request: bytes) -> Self:
        """Begin a request under a key, or find the one that is answered.

        Raises:
            KeyInUse: the first request is still running.
            KeyReused: the first request was another one.
        """
        id_ = Binary(_digest(organization_id.binary, key))
        taken = cls(
            id=id_,
            organization_id=organization_id,
            request=_digest(request),
            record_id=ObjectId(),
        )
        try:
            taken.save(force_insert=True)
        except NotUniqueError:
            pass
        else:
            return taken
        known: Self | None = cls.objects(id=id_).first()
        if known is None:
            raise KeyInUse  # released or expired just now
        if bytes(known.request) != bytes(taken.request):
            raise KeyReused
        return known if known.status else known._take_over(now())

    def _take_over(self, at: datetime) -> Self:
        """Go on where a process died. One of those who try gets it."""
        if at - self.taken_at < REQUEST_ABANDONED_AFTER:
            raise KeyInUse
        won = type(self).objects(id=self.id, status=None, taken_at=self.taken_at)
        if not won.update_one(set__taken_at=at):
            raise KeyInUse
        return self

    def release(self) -> None:
        """The request was refused, and has done nothing: the key is free again."""
        type(self).objects(id=self.id, status=None).delete()

    def abandon(self) -> None:
        """How it ended is not known: whoever repeats the request may go on at once."""
        type(self).objects(id=self.id, status=None).update_one(set__taken_at=ABANDONED_REQUEST_TIME)

    def keep(self, key: str, status: int, location: str | None, answer: bytes) -> None:
        """Remember what was answered."""
        nonce = os.urandom(ANSWER_NONCE_BYTES)
        sealed = nonce + AESGCM(_seal(key)).encrypt(nonce, answer, None)
        type(self).objects(id=self.id).update_one(
            set__status=status, set__location=location, set__answer=sealed
        )

    def open(self, key: str) -> bytes:
        """What was answered."""
        sealed = bytes(self.answer)
        try:
            return AESGCM(_seal(key)).decrypt(
                sealed[:ANSWER_NONCE_BYTES], sealed[ANSWER_NONCE_BYTES:], None
            )
        except InvalidTag:
            raise KeyReused from None


def _digest(*parts: bytes | str) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def _seal(key: str) -> bytes:
    return _digest("answer", key)
