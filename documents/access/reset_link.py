"""Links that let a person choose a new password, sent to the person's address."""

from datetime import datetime, timedelta
from typing import Any, Self

from bson import ObjectId
from mongoengine import DateTimeField, IntField, MapField

from documents.access.grants import list_membership_rows
from documents.access.secret import SECRET_INDEXES, Secret
from documents.values.time import now

RESET_LINK_LIFETIME = timedelta(minutes=30)


class PasswordResetLink(Secret):
    """A link that changes a password once. It does not sign in.

    A mail that is sent again has a second link of the same request, because a receiver may drop
    either mail as a duplicate. A later request voids the links of an earlier one.
    """

    requested_at = DateTimeField(required=True)
    # The epochs of all memberships of the person at that time, by ID. Links of an earlier build
    # lack them.
    epochs = MapField(IntField())

    meta = {"collection": "password_reset_links", "indexes": SECRET_INDEXES}

    @classmethod
    def make(cls, staff: Any, requested_at: datetime) -> str:
        """Create a link that lasts for 30 minutes from its request, and return its secret."""
        lasts = requested_at + RESET_LINK_LIFETIME - now()
        rows = list_membership_rows(staff.account_id) if staff.account_id else []
        epochs = {str(row["_id"]): row.get("epoch", 0) for row in rows}
        epochs[str(staff.id)] = staff.epoch
        return cls.make_secret(staff, lasts, requested_at=requested_at, epochs=epochs)

    @classmethod
    def known(cls, secret: str) -> Self | None:
        """Return the link with this secret; None if it is void, or not the latest."""
        link = cls.find_link(secret)
        return link if link is not None and not link._has_later() else None

    @classmethod
    def use(cls, secret: str) -> bool:
        """Use up the link with this secret. Of two requests at once, only one returns True."""
        link = cls.known(secret)
        return link is not None and bool(cls.objects(id=link.id).delete())

    def is_usable_by(self, staff_id: ObjectId, epoch: int) -> bool:
        """Return whether a membership of the person can use the link.

        Nothing may have ended its sessions since the link was made. A later membership cannot use
        the link.
        """
        if not self.epochs:  # made by an earlier build
            return bool(staff_id != self.staff_id or epoch == self.epoch)
        return bool(self.epochs.get(str(staff_id)) == epoch)

    def _has_later(self) -> bool:
        person = {"account_id": self.account_id, "staff_id": self.staff_id}
        if self.account_id is not None:
            del person["staff_id"]
        later = type(self).objects(**person, requested_at__gt=self.requested_at)
        return later.first() is not None
