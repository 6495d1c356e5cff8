"""Staff sessions, one for each browser, and the links that sign a person in."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from bson import ObjectId
from mongoengine import BooleanField, DateTimeField, EmbeddedDocumentListField

from documents.access.grants import (
    GENERAL_WAYS,
    LINK_WAYS,
    Grant,
    GrantWay,
    ProviderProof,
    add_kept_grants,
    find_password_way,
    find_way,
    is_known_membership,
    list_grants,
    raise_epochs,
)
from documents.access.secret import SECRET_INDEXES, Secret, digest_secret
from documents.organization import list_in_deletion
from documents.values.time import now

SESSION_IDLE_LIFETIME = timedelta(hours=12)
MAX_SESSION_LIFETIME = timedelta(days=7)
SESSION_USE_INTERVAL = timedelta(minutes=1)
SIGN_IN_LINK_LIFETIME = timedelta(minutes=15)
INVITATION_LIFETIME = timedelta(days=7)


class StaffSession(Secret):
    """A signed-in browser. A session ends after a week, or after twelve hours without use.

    It shows one organization: that of its member. Its grants name the others that it may show.
    """

    last_used_at = DateTimeField(default=now)  # to the minute
    by_link = BooleanField(default=False)
    grants = EmbeddedDocumentListField(Grant)

    meta = {
        "collection": "staff_sessions",
        "indexes": [*SECRET_INDEXES, "grants.proof.organization_id"],
    }

    @classmethod
    def begin(
        cls,
        staff: Any,
        *,
        way: GrantWay = "password",
        proof: ProviderProof | None = None,
        before: Self | None = None,
    ) -> str:
        """Begin a session, and return its secret for the cookie.

        Args:
            before: session of the same person whose grants stay, and whose beginning counts.
        """
        grants, by_link = list_grants(staff, way, proof), way in LINK_WAYS
        more: dict[str, Any] = {"by_link": by_link, "grants": grants}
        if before is not None and before.grants and not by_link:
            more["grants"] = add_kept_grants(grants, before.grants)
            more["created_at"] = before.created_at  # so that no grant outlives a week
        ends = _find_end(now(), more.get("created_at"))
        return cls.make_secret(staff, ends - now(), **more)

    def begin_again(self, staff: Any, raised: Sequence[ObjectId]) -> str:
        """Begin a session in place of this one, which a new password has voided.

        The grants and their beginning stay, because a person can change the password without a
        new sign-in at a provider. Return the secret.

        Args:
            staff: the member, with the new password.
            raised: members whose epochs the password has increased.
        """
        proof = self.find_proof(staff.id)
        way = "single sign-on" if proof else find_password_way(staff.person)
        kept = raise_epochs(self.grants, raised)
        grants = add_kept_grants(list_grants(staff, way, proof), kept)
        ends = _find_end(now(), self.created_at)
        more = {"grants": grants, "created_at": self.created_at}
        return self.make_secret(staff, ends - now(), **more)

    @classmethod
    def current(cls, secret: str, *, is_used: bool = True) -> Self | None:
        """Return the session with this secret; None if it has ended.

        Args:
            is_used: whether a person caused the request. A request by a script does not extend
                the session.
        """
        session = cls.find_by_secret(secret)
        if session is not None and is_used:
            session._note_use()
        return session

    @property
    def can_skip_password(self) -> bool:
        """True if a recent link began the session, so the current password is not required."""
        return bool(self.by_link and now() - self.created_at < SIGN_IN_LINK_LIFETIME)

    @property
    def is_of_person(self) -> bool:
        """True if the browser has proved who the person is, and not only to one organization."""
        return self.find_way(self.staff_id, self.epoch) in GENERAL_WAYS

    def find_way(self, staff_id: ObjectId, epoch: int) -> GrantWay | None:
        """Return how this browser proved who the member is; None if it did not, or no longer."""
        if not self.grants and self.account_epoch is None:  # begun by an earlier version
            is_own = (staff_id, epoch) == (self.staff_id, self.epoch)
            return ("link" if self.by_link else "password") if is_own else None
        return find_way(self.grants, staff_id, epoch)

    def knows(self, staff_id: ObjectId) -> bool:
        """Return whether this browser may learn that the person has this membership."""
        is_former = not self.grants and self.account_epoch is None
        return is_former or is_known_membership(self.grants, staff_id)

    def find_proof(self, staff_id: ObjectId) -> ProviderProof | None:
        """Return the single sign-on of this member; None without one."""
        return next((one.proof for one in self.grants if one.staff_id == staff_id), None)

    def list_proofs(self) -> list[ProviderProof]:
        """Return all single sign-ons of this browser."""
        return [one.proof for one in self.grants if one.proof is not None]

    def show(self, staff: Any) -> None:
        """Show the organization of another member of the same account from now on."""
        type(self).objects(id=self.id, account_id=staff.account_id).update_one(
            set__organization_id=staff.organization_id,
            set__staff_id=staff.id,
            set__epoch=staff.epoch,
        )

    @classmethod
    def list_current(cls, shown: set[tuple[str, ObjectId]]) -> set[tuple[str, ObjectId]]:
        """Return the pairs of session and organization that still belong together."""
        ids = list({id_ for id_, _ in shown})
        current = cls.objects(id__in=ids, expires_at__gt=now()).only("id", "organization_id")
        pairs = shown & {(one.id, one.organization_id) for one in current}
        closed = list_in_deletion({owner for _, owner in pairs})
        return {(id_, owner) for id_, owner in pairs if owner not in closed}

    @classmethod
    def of(cls, staff: Any, *, is_of_person: bool = True) -> list[Self]:
        """Return the current sessions, most recently used first.

        Args:
            is_of_person: whether to return those of all organizations of the person.
        """
        is_of_account = is_of_person and staff.account_id
        whose = {"account_id": staff.account_id} if is_of_account else {"staff_id": staff.id}
        return list(cls.objects(**whose, expires_at__gt=now()).order_by("-last_used_at"))

    def end_unchanged(self) -> bool:
        """End this session. Return whether it had the same grants as when it was read."""
        ended = type(self).objects(id=self.id).modify(remove=True)
        return ended is not None and list(ended.grants) == list(self.grants)

    @classmethod
    def keep_own_grant(cls, secret: str, staff_id: ObjectId) -> None:
        """Drop all grants of a session except that of this member."""
        others = {"$pull": {"grants": {"staff_id": {"$ne": staff_id}}}}
        cls.objects(id=digest_secret(secret)).update(__raw__=others)

    @classmethod
    def end_with(cls, secret: str) -> None:
        """End the session with this secret."""
        cls.objects(id=digest_secret(secret)).delete()

    def _note_use(self) -> None:
        used = now()
        if used - self.last_used_at < SESSION_USE_INTERVAL:
            return
        ends = _find_end(used, self.created_at)
        type(self).objects(id=self.id).update_one(set__last_used_at=used, set__expires_at=ends)


def _find_end(used_at: datetime, created_at: datetime | None) -> datetime:
    """Return when a session ends without further use."""
    return min(used_at + SESSION_IDLE_LIFETIME, (created_at or used_at) + MAX_SESSION_LIFETIME)


class SignInLink(Secret):
    """A link that signs a staff member in: once, or repeatedly until it expires.

    An invitation passes through the hands of an admin, so it opens only that organization.
    """

    reusable = BooleanField(default=False)
    is_invitation = BooleanField(default=False)
    # A mail proves who the person is, but does not replace an organization's single sign-on.
    is_mailed = BooleanField(default=False)

    meta = {"collection": "sign_in_links", "indexes": SECRET_INDEXES}

    @classmethod
    def make(
        cls, staff: Any, lasts: timedelta = SIGN_IN_LINK_LIFETIME, *, reusable: bool = False
    ) -> str:
        """Create a link for the operator, who vouches for the person, and return its secret."""
        return cls.make_secret(staff, lasts, reusable=reusable)

    @classmethod
    def make_mailed(cls, staff: Any) -> str:
        """Create an invitation for a mail to the person, and return its secret."""
        return cls.make_secret(staff, INVITATION_LIFETIME, is_mailed=True)

    @classmethod
    def make_invitation(cls, staff: Any) -> str:
        """Create a link for an admin to pass on, and return its secret."""
        return cls.make_secret(staff, INVITATION_LIFETIME, is_invitation=True)

    @classmethod
    def known(cls, secret: str) -> Self | None:
        """Return the link with this secret; None if it was used or has expired."""
        return cls.find_link(secret)

    @classmethod
    def use(cls, secret: str) -> Self | None:
        """Use up and return the link with this secret; None if it is not valid.

        If two requests use a link at once, only one succeeds.
        """
        link = cls.find_link(secret)
        if link is None or link.reusable:
            return link
        return link if cls.objects(id=link.id).delete() else None
