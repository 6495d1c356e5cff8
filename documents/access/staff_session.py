"""Staff sessions, one for each browser, and the links that sign a person in.

MongoDB stores only a digest of each secret, so an attacker with a copy of the database cannot sign
in.
"""

import hashlib
import secrets
from datetime import timedelta
from typing import Any, ClassVar, Self

from bson import ObjectId
from mongoengine import BooleanField, DateTimeField, IntField, ObjectIdField, StringField

from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META
from documents.values.time import now

SESSION_SECRET_BYTES = 32
SESSION_IDLE_LIFETIME = timedelta(hours=12)
MAX_SESSION_LIFETIME = timedelta(days=7)
SESSION_USE_INTERVAL = timedelta(minutes=1)
SIGN_IN_LINK_LIFETIME = timedelta(minutes=15)


class _Secret(Document):
    """A record that a random secret unlocks. The service shows the secret once."""

    id = StringField(primary_key=True)  # the secret's digest
    organization_id = ObjectIdField(required=True)
    staff_id = ObjectIdField(required=True)
    epoch = IntField(required=True)  # the epoch of the staff member at that time; see staff.py
    created_at = DateTimeField(default=now)
    expires_at = DateTimeField(required=True)

    meta: ClassVar[dict[str, Any]] = {"abstract": True, "auto_create_index": False, **OWNED_META}

    @classmethod
    def _made(cls, staff: Any, lasts: timedelta, **more: Any) -> str:
        secret = secrets.token_urlsafe(SESSION_SECRET_BYTES)
        made = cls(
            id=_digest(secret),
            organization_id=staff.organization_id,
            staff_id=staff.id,
            epoch=staff.epoch,
            expires_at=now() + lasts,
            **more,
        )
        made.save(force_insert=True)
        return secret

    @classmethod
    def _with(cls, secret: str) -> Self | None:
        # An attacker cannot choose digests, so the time of this lookup reveals nothing.
        session: Self | None = cls.objects(id=_digest(secret), expires_at__gt=now()).first()
        return session


SECRET_INDEXES: list[Any] = [{"fields": ["expires_at"], "expireAfterSeconds": 0}, "staff_id"]


class StaffSession(_Secret):
    """A signed-in browser. A session ends after a week, or after twelve hours without use."""

    last_used_at = DateTimeField(default=now)  # to the minute
    by_link = BooleanField(default=False)

    meta = {"collection": "staff_sessions", "indexes": SECRET_INDEXES}

    @classmethod
    def begin(cls, staff: Any, *, by_link: bool = False) -> str:
        """Begin a session, and return its secret for the cookie."""
        return cls._made(staff, SESSION_IDLE_LIFETIME, by_link=by_link)

    @classmethod
    def current(cls, secret: str, *, is_used: bool = True) -> Self | None:
        """Return the session with this secret; None if it has ended.

        Args:
            is_used: whether a person caused the request. A request by a script does not extend
                the session.
        """
        session = cls._with(secret)
        if session is not None and is_used:
            session._note_use()
        return session

    @property
    def can_skip_password(self) -> bool:
        """True if a recent link began the session, so the current password is not required."""
        return bool(self.by_link and now() - self.created_at < SIGN_IN_LINK_LIFETIME)

    @classmethod
    def list_current(cls, ids: set[str]) -> set[str]:
        """Return the IDs of the sessions that have not ended."""
        return {one.id for one in cls.objects(id__in=list(ids), expires_at__gt=now()).only("id")}

    @classmethod
    def of(cls, staff_id: ObjectId) -> list[Self]:
        """Return the current sessions of a staff member, most recently used first."""
        return list(cls.objects(staff_id=staff_id, expires_at__gt=now()).order_by("-last_used_at"))

    @classmethod
    def end_with(cls, secret: str) -> None:
        """End the session with this secret."""
        cls.objects(id=_digest(secret)).delete()

    def _note_use(self) -> None:
        used = now()
        if used - self.last_used_at < SESSION_USE_INTERVAL:
            return
        ends = min(used + SESSION_IDLE_LIFETIME, self.created_at + MAX_SESSION_LIFETIME)
        own = type(self).objects(id=self.id, organization_id=self.organization_id)
        own.update_one(set__last_used_at=used, set__expires_at=ends)


class SignInLink(_Secret):
    """A link that signs a staff member in: once, or repeatedly until it expires."""

    reusable = BooleanField(default=False)

    meta = {"collection": "sign_in_links", "indexes": SECRET_INDEXES}

    @classmethod
    def make(
        cls, staff: Any, lasts: timedelta = SIGN_IN_LINK_LIFETIME, *, reusable: bool = False
    ) -> str:
        """Create a link, and return its secret."""
        return cls._made(staff, lasts, reusable=reusable)

    @classmethod
    def known(cls, secret: str) -> Self | None:
        """Return the link with this secret; None if it was used or has expired."""
        return cls._with(secret)

    @classmethod
    def use(cls, secret: str) -> Self | None:
        """Use up and return the link with this secret; None if it is not valid.

        If two requests use a link at once, only one succeeds.
        """
        link = cls._with(secret)
        if link is None or link.reusable:
            return link
        return link if cls.objects(id=link.id).delete() else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
