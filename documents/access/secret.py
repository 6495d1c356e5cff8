"""Records that a random secret unlocks: sessions and sign-in links.

MongoDB stores only a digest of each secret, so an attacker with a copy of the database cannot sign
in. Sessions and links belong to a person, so tenancy does not narrow their queries.
"""

import hashlib
import secrets
from datetime import timedelta
from typing import Any, ClassVar, Self

from bson import ObjectId
from mongoengine import DateTimeField, IntField, ObjectIdField, StringField

from documents.organization import list_in_deletion
from documents.storage.base import Document
from documents.values.time import now

SECRET_BYTES = 32
SECRET_INDEXES: list[Any] = [
    {"fields": ["expires_at"], "expireAfterSeconds": 0},
    "staff_id",
    "account_id",
]


class Secret(Document):
    """A record that a random secret unlocks. The service shows the secret once."""

    id = StringField(primary_key=True)  # the secret's digest
    organization_id = ObjectIdField(required=True)
    staff_id = ObjectIdField(required=True)
    epoch = IntField(required=True)  # the epoch of the staff member at that time; see staff.py
    # Records of an earlier version lack these. An account's first epoch is that of its member.
    account_id = ObjectIdField()
    account_epoch = IntField()
    created_at = DateTimeField(default=now)
    expires_at = DateTimeField(required=True)

    meta: ClassVar[dict[str, Any]] = {"abstract": True, "auto_create_index": False}

    @classmethod
    def make_secret(cls, staff: Any, lasts: timedelta, **more: Any) -> str:
        """Store a record of a member, and return its secret."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        made = cls(
            id=digest_secret(secret),
            organization_id=staff.organization_id,
            staff_id=staff.id,
            epoch=staff.epoch,
            account_id=staff.account_id,
            account_epoch=staff.person.epoch,
            expires_at=now() + lasts,
            **more,
        )
        made.save(force_insert=True)
        return secret

    @classmethod
    def find_by_secret(cls, secret: str) -> Self | None:
        """Return the record with this secret; None if it was used or has expired."""
        # An attacker cannot choose digests, so the time of this lookup reveals nothing.
        session: Self | None = cls.objects(id=digest_secret(secret), expires_at__gt=now()).first()
        return session

    @classmethod
    def find_link(cls, secret: str) -> Self | None:
        """Return the record; None also if its organization is in deletion."""
        link = cls.find_by_secret(secret)
        return None if link is None or list_in_deletion([link.organization_id]) else link

    @property
    def person_epoch(self) -> int:
        """Epoch of the person at that time."""
        return int(self.epoch if self.account_epoch is None else self.account_epoch)

    @classmethod
    def end_of_person(
        cls, account_id: ObjectId, before_epoch: int, *, kept: str | None = None
    ) -> None:
        """Delete what an account's later epoch has voided.

        Args:
            kept: ID of a record that stays, although it is void.
        """
        others = cls.objects(id__ne=kept)
        others(account_id=account_id, account_epoch__lt=before_epoch).delete()
        # From before the account: its first member has the same ID.
        others(account_id=None, staff_id=account_id, epoch__lt=before_epoch).delete()

    @classmethod
    def end_of_member(cls, staff_id: ObjectId, *, kept: str | None = None) -> None:
        """Delete what shows a member's organization.

        Args:
            kept: ID of a record that stays. The caller has voided it.
        """
        cls.objects(id__ne=kept, staff_id=staff_id).delete()


def digest_secret(secret: str) -> str:
    """Return the digest that MongoDB stores in place of a random secret.

    A plain SHA-256 is enough, because an attacker cannot guess 256 random bits.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
