"""The reset of a forgotten password by a link. documents/mail/password_mails.py sends the link."""

from collections.abc import Sequence

from bson import ObjectId

from documents.access.reset_link import PasswordResetLink
from documents.access.staff import Staff
from documents.organization import Organization


def may_use_password(members: Sequence[Staff]) -> bool:
    """Return whether a person with these memberships may have a password.

    The password is useless if every organization of the person requires single sign-on.
    """
    return find_password_member(members) is not None


def find_password_member(members: Sequence[Staff]) -> Staff | None:
    """Return the first membership whose organization accepts passwords; None if there is none.

    An organization in deletion accepts none. Without memberships, the query is sent as well, so
    that the time reveals nothing.
    """
    ids = [one.organization_id for one in members] or [ObjectId()]
    is_closed = [{"requires_single_sign_on": True}, {"deleting_at": {"$ne": None}}]
    found = Organization.objects(__raw__={"_id": {"$in": ids}, "$or": is_closed}).only("id")
    closed = {row["_id"] for row in found.as_pymongo()}  # cheap, whether or not any is found
    return next((one for one in members if one.organization_id not in closed), None)


def find_reset_member(secret: str) -> Staff | None:
    """Return the member to whom a link was sent; None if the link is void."""
    staff = Staff.signed_in(PasswordResetLink.known(secret))
    return staff if staff is not None and may_use_password([staff]) else None


def reset_password(secret: str, password: str) -> Staff | None:
    """Use up a link, and change the person's password; None if the link is void.

    This ends all sessions and voids all links of the person.

    Raises:
        Unacceptable: the password is too short, too long, or easy to guess. The link stays valid.
    """
    staff = find_reset_member(secret)
    if staff is None:
        return None
    hashed = staff.hash_new_password(password)
    if not PasswordResetLink.use(secret):
        return None
    return staff.store_password(hashed)
