"""API keys. A key identifies a client and its organization, and its scopes limit the client."""

import hmac
import secrets
from datetime import datetime, timedelta
from typing import Self

from bson import ObjectId
from mongoengine import DateTimeField, ListField, StringField

from documents.access.secret import digest_secret
from documents.organization import list_in_deletion
from documents.storage.record import Record
from documents.values.time import now

API_KEY_PREFIX = "mb_"
API_KEY_SECRET_BYTES = 32
SHOWN_PREFIX_LENGTH = len(API_KEY_PREFIX) + 6
KEY_USE_INTERVAL = timedelta(minutes=1)
API_KEY_SCOPES = ("read", "write", "admin")


class ApiKey(Record):
    """A bearer key. MongoDB stores only the digest of its secret, which the client sees once.

    The index compares digests, which an attacker cannot choose. The final comparison takes constant
    time.
    """

    name = StringField(required=True)
    scopes = ListField(StringField(choices=API_KEY_SCOPES))
    digest = StringField(required=True)
    prefix = StringField()
    expires_at = DateTimeField()
    last_used_at = DateTimeField()  # to the minute, so that most requests write nothing

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
        """Create a key, and return it with its secret. The secret cannot be read again."""
        secret = API_KEY_PREFIX + secrets.token_urlsafe(API_KEY_SECRET_BYTES)
        key = cls(
            id=id_,
            organization_id=organization_id,
            name=name,
            scopes=sorted(set(scopes)),
            digest=digest_secret(secret),
            prefix=secret[:SHOWN_PREFIX_LENGTH],
            expires_at=expires_at,
        )
        made = key.insert()
        if made.digest != key.digest:  # a process stored this key and died before it showed it
            made.digest, made.prefix = key.digest, key.prefix
            made.save()
        return made, secret

    @classmethod
    def authenticate(cls, secret: str) -> Self | None:
        """Return the key with this secret.

        Return None if no such key exists, it is deleted, or its organization is in deletion.
        """
        digest = digest_secret(secret)
        key = cls.objects(digest=digest, deleted_at=None).first()
        if key is None or list_in_deletion([key.organization_id]):
            return None
        return key if hmac.compare_digest(key.digest, digest) else None

    def note_use(self) -> None:
        """Record the time of use, at most once a minute."""
        used = now()
        if self.last_used_at is None or used - self.last_used_at >= KEY_USE_INTERVAL:
            type(self).objects(id=self.id).update_one(set__last_used_at=used)
            self.last_used_at = used

    def allows(self, scope: str) -> bool:
        """Return whether the key grants a scope. "admin" includes "write", and "write" "read"."""
        held = max((API_KEY_SCOPES.index(name) for name in self.scopes), default=-1)
        return API_KEY_SCOPES.index(scope) <= held


def is_expired(expires_at: datetime | None) -> bool:
    """Return whether a key with this time of expiry is no longer valid."""
    return expires_at is not None and expires_at <= now()
