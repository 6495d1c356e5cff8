"""Idempotency keys: a repeated request with the same key runs once and gets the same answer.

Before the work begins, the key's record stores the ID of the new record. If the process dies, a
repeated request finds that ID and creates no second record.
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
# Longer than any request can take. After this time, no process works on the request.
REQUEST_ABANDONED_AFTER = timedelta(seconds=30)
ABANDONED_REQUEST_TIME = datetime(2000, 1, 1, tzinfo=UTC)
ANSWER_NONCE_BYTES = 12


class KeyInUse(Exception):
    """The first request with this key is still running."""


class KeyReused(Exception):
    """The client used the key with a different request."""


class IdempotencyKey(Document):
    """One key of one organization, with the answer to its request.

    The ID is a digest of the key. The answer is sealed with the key itself, which is not stored,
    because an answer may contain personal data or a new API key.
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
        """Begin a request under a key, or return the key's earlier request.

        Raises:
            KeyInUse: the first request is still running.
            KeyReused: the first request was different.
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
        """Continue an interrupted request. Only one of several parallel callers succeeds."""
        if at - self.taken_at < REQUEST_ABANDONED_AFTER:
            raise KeyInUse
        won = type(self).objects(id=self.id, status=None, taken_at=self.taken_at)
        if not won.update_one(set__taken_at=at):
            raise KeyInUse
        return self

    def release(self) -> None:
        """Free the key after a request that was rejected and changed nothing."""
        type(self).objects(id=self.id, status=None).delete()

    def abandon(self) -> None:
        """Let a retry continue at once, because the result of the request is unknown."""
        type(self).objects(id=self.id, status=None).update_one(set__taken_at=ABANDONED_REQUEST_TIME)

    def keep(self, key: str, status: int, location: str | None, answer: bytes) -> None:
        """Store the answer, sealed with the key."""
        nonce = os.urandom(ANSWER_NONCE_BYTES)
        sealed = nonce + AESGCM(_seal(key)).encrypt(nonce, answer, None)
        type(self).objects(id=self.id).update_one(
            set__status=status, set__location=location, set__answer=sealed
        )

    def open(self, key: str) -> bytes:
        """Return the stored answer."""
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
