"""Staff sessions, one for each browser, and the links that sign a person in.

MongoDB holds only a digest of each secret, so a copy of the database signs no one in.
"""

import hashlib
import secrets
from datetime import timedelta
from typing import Any, ClassVar, Self

from bson import ObjectId
from mongoengine import BooleanField, DateTimeField, IntField, ObjectIdField, StringField

from documents.storage.base import Document
from documents.storage.tenancy import OWNED
from documents.values.time import now

SECRET_BYTES = 32
UNUSED = timedelta(hours=12)
LONGEST = timedelta(days=7)
USE_NOTED_EVERY = timedelta(minutes=1)
LINK_LASTS = timedelta(minutes=15)


class _Secret(Document):
    """Something that a random secret, which is shown once, stands for."""

    id = StringField(primary_key=True)  # the secret's digest
    organization_id = ObjectIdField(required=True)
    staff_id = ObjectIdField(required=True)
    epoch = IntField(required=True)  # the staff's at that time; see staff.py
    created_at = DateTimeField(default=now)
    expires_at = DateTimeField(required=True)

    meta: ClassVar[dict[str, Any]] = {"abstract": True, "auto_create_index": False, **OWNED}

    @classmethod
    def _made(cls, staff: Any, lasts: timedelta, **more: Any) -> str:
        secret = secrets.token_urlsafe(SECRET_BYTES)
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
        # The index compares digests, which nobody can choose: its time tells nothing.
        session: Self | None = cls.objects(id=_digest(secret), expires_at__gt=now()).first()
        return session


INDEXES: list[Any] = [{"fields": ["expires_at"], "expireAfterSeconds": 0}, "staff_id"]


class StaffSession(_Secret):
    """A browser that is signed in, for a week at the longest and twelve hours of silence."""

    last_used_at = DateTimeField(default=now)  # to the minute
    by_link = BooleanField(default=False)

    meta = {"collection": "staff_sessions", "indexes": INDEXES}

    @classmethod
    def begin(cls, staff: Any, *, by_link: bool = False) -> str:
        """Sign in. Returns the session's secret, for the cookie."""
        return cls._made(staff, UNUSED, by_link=by_link)

    @classmethod
    def current(cls, secret: str, *, is_used: bool = True) -> Self | None:
        """The session with this secret, unless it has ended; used by a person or a script alone."""
        session = cls._with(secret)
        if session is not None and is_used:
            session._note_use()
        return session

    @property
    def may_forget(self) -> bool:
        """Whether it came by a link, just now: the password may be set without the present one."""
        return bool(self.by_link and now() - self.created_at < LINK_LASTS)

    @classmethod
    def still_valid(cls, ids: set[str]) -> set[str]:
        """Which of these sessions have not ended."""
        return {one.id for one in cls.objects(id__in=list(ids), expires_at__gt=now()).only("id")}

    @classmethod
    def of(cls, staff_id: ObjectId) -> list[Self]:
        """Where somebody is signed in, the latest first."""
        return list(cls.objects(staff_id=staff_id, expires_at__gt=now()).order_by("-last_used_at"))

    @classmethod
    def end_with(cls, secret: str) -> None:
        """Sign out the browser that has this secret."""
        cls.objects(id=_digest(secret)).delete()

    def _note_use(self) -> None:
        used = now()
        if used - self.last_used_at < USE_NOTED_EVERY:
            return
        ends = min(used + UNUSED, self.created_at + LONGEST)
        own = type(self).objects(id=self.id, organization_id=self.organization_id)
        own.update_one(set__last_used_at=used, set__expires_at=ends)


class SignInLink(_Secret):
    """A link that signs somebody in: once, or as often as wanted until it expires."""

    reusable = BooleanField(default=False)

    meta = {"collection": "sign_in_links", "indexes": INDEXES}

    @classmethod
    def make(cls, staff: Any, lasts: timedelta = LINK_LASTS, *, reusable: bool = False) -> str:
        """Make one. Returns its secret."""
        return cls._made(staff, lasts, reusable=reusable)

    @classmethod
    def known(cls, secret: str) -> Self | None:
        """The link with this secret, unless it was used or has expired."""
        return cls._with(secret)

    @classmethod
    def use(cls, secret: str) -> Self | None:
        """The link with this secret, if it signs in. Of two who try at once, one."""
        link = cls._with(secret)
        if link is None or link.reusable:
            return link
        return link if cls.objects(id=link.id).delete() else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
