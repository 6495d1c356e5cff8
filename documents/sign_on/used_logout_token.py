"""Logout tokens that a provider has sent, so that no token counts twice."""

from contextlib import suppress
from datetime import datetime

from bson import ObjectId
from mongoengine import DateTimeField, NotUniqueError, ObjectIdField, StringField

from documents.access.secret import digest_secret
from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META


class UsedLogoutToken(Document):
    """The digest of one token's ID, until no check accepts the token any more."""

    id = StringField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    expires_at = DateTimeField(required=True)

    meta = {
        "collection": "used_logout_tokens",
        "auto_create_index": False,
        "indexes": [{"fields": ["expires_at"], "expireAfterSeconds": 0}],
        **OWNED_META,
    }

    @classmethod
    def is_used(cls, organization_id: ObjectId, token_id: str) -> bool:
        """Return whether the organization's provider has sent the token before."""
        known = cls.objects(id=_digest(organization_id, token_id), organization_id=organization_id)
        return known.first() is not None

    @classmethod
    def note(cls, organization_id: ObjectId, token_id: str, expires_at: datetime) -> None:
        """Note that the token has had its effect."""
        note = cls(
            id=_digest(organization_id, token_id),
            organization_id=organization_id,
            expires_at=expires_at,
        )
        # The provider can send it twice at once, and ending sessions twice changes nothing.
        with suppress(NotUniqueError):
            note.save(force_insert=True)


def _digest(organization_id: ObjectId, token_id: str) -> str:
    return digest_secret(f"{organization_id} {token_id}")
