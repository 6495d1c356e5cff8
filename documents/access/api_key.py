"""API keys. A key identifies the client and its organization, and its scopes limit the client."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Self

from bson import ObjectId
from mongoengine import DateTimeField, ListField, StringField

from documents.storage.record import Record
from documents.values.time import now

API_KEY_PREFIX = "mb_"
API_KEY_SECRET_BYTES = 32
SHOWN_PREFIX_LENGTH = len(API_KEY_PREFIX) + 6
KEY_USE_INTERVAL = timedelta(minutes=1)
API_KEY_SCOPES = ("read", "write", "admin")


class ApiKey(Record):
    """A bearer key. Only its digest is stored: the secret is shown once, when it is made.

    A plain SHA-256 will do, for the secret is 256 random bits and cannot be guessed. The index
    compares digests, which an attacker cannot choose; the last comparison takes constant time.
    """

    name = StringField(required=True)
    scopes = ListField(StringField(choices=API_KEY_SCOPES))
    digest = StringField(required=True)
    prefix = StringField()
    expires_at = DateTimeField()
    last_used_at = DateTimeField()  # to the minute, or a read would be a write each time

    meta = {
        "collection": "api_keys",
        "indexes": [{"fields": ["digest"], "unique": True}, ["organization_id", "id"]],
    }

    @classmethod
    def issue(
        cls,
        organization_id: ObjectId,
        name: str,
        scopes: list[str],
        expires_at: datetime | None = None,
        id_: ObjectId | None = None,
    ) -> tuple[Self, str]:
        """Make a key. Returns it with its secret, which cannot be had again."""
        secret = API_KEY_PREFIX + secrets.token_urlsafe(API_KEY_SECRET_BYTES)
        key = cls(
            id=id_,
            organization_id=organization_id,
            name=name,
            scopes=sorted(set(scopes)),
            digest=_digest(secret),
            prefix=secret[:SHOWN_PREFIX_LENGTH],
            expires_at=expires_at,
        )
        made = key.insert()
        if made.digest != key.digest:  # made by a process that died before it could show it
            made.digest, made.prefix = key.digest, key.prefix
            made.save()
        return made, secret

    @classmethod
    def authenticate(cls, secret: str) -> Self | None:
        """The key with this secret, unless it is deleted."""
        digest = _digest(secret)
        key = cls.objects(digest=digest, deleted_at=None).first()
        return key if key and hmac.compare_digest(key.digest, digest) else None

    def note_use(self) -> None:
        """Remember that it is in use."""
        used = now()
        if self.last_used_at is None or used - self.last_used_at >= KEY_USE_INTERVAL:
            type(self).objects(id=self.id).update_one(set__last_used_at=used)
            self.last_used_at = used

    def is_current(self) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or now() < self.expires_at

    def allows(self, scope: str) -> bool:
        """Whether it may do what needs this scope. An admin may read and write; a writer, read."""
        held = max((API_KEY_SCOPES.index(name) for name in self.scopes), default=-1)
        return API_KEY_SCOPES.index(scope) <= held


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
