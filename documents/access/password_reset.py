"""The reset of a forgotten password by a link. documents/mail/password_mails.py sends the link."""

from collections.abc import Sequence

from bson import ObjectId

from documents.access.account import Account
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
    """Return the member whose password a link changes; None if the link is void."""
    link = PasswordResetLink.known(secret)
    return find_password_member(_list_reset_members(link)) if link is not None else None


def _list_reset_members(link: PasswordResetLink) -> list[Staff]:
    """Return the memberships that can use a link, beginning with the one that the mail names.

    A later epoch of a membership voids the link for that membership only. Otherwise, an admin of
    one organization could prevent each reset.
    """
    account = Account.objects(id=link.account_id, epoch=link.person_epoch).first()
    if account is None:
        former = Staff.signed_in(link)  # of the earlier layout
        return [former] if former is not None else []
    members = Staff.list_of_account(account.id)
    for one in members:
        one.remember_account(account)
    current = [one for one in members if link.is_usable_by(one.id, one.epoch)]
    return sorted(current, key=lambda one: one.id != link.staff_id)


def reset_password(secret: str, password: str) -> Staff | None:
    """Use up a link, and change the person's password; None if the link is void.

    This ends all sessions and voids all links of the person. The mail proves the person to all
    organizations, so the new password opens all of them.

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
