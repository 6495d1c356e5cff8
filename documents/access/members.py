"""Acts of an admin, or of the command line, on the members of one organization.

An organization keeps at least one admin, because only an admin can add another.
"""

from typing import Any

from bson import ObjectId

from documents.access.departures import end_memberships
from documents.access.member import SECRET_KINDS
from documents.access.roles import STAFF_ROLES, StaffRole
from documents.access.staff import Staff
from documents.access.staff_session import SignInLink
from documents.errors import Conflict, NotFound, Unacceptable
from documents.storage.transaction import in_transaction
from documents.values.time import now
from matchback.engine import Tx

ADMIN: StaffRole = "admin"
# What a member's row holds about the person.
PERSONAL_FIELDS = (
    *("name", "email", "address", "password", "account_id"),
    *("subject", "subject_client_id"),
)
LAST_ADMIN = "This is the organization's last admin. Make another member an admin first."


def invite_member(
    organization_id: ObjectId, name: str, email: str, role: StaffRole
) -> tuple[Staff, str]:
    """Add a member for an admin, and return the secret of a link to pass on.

    The answer is the same whether the person belongs to other organizations. The link opens only
    this organization.

    Raises:
        Unacceptable: the name or the address is not valid.
        Conflict: the person is a member already.
    """
    staff = Staff.add(organization_id, name, email, role, is_proved=False)
    return staff, SignInLink.make_invitation(staff)


def repeat_invitation(staff: Staff) -> str:
    """Return the secret of a new link for a member who lost the first one.

    Raises:
        Conflict: the member has signed in before. With a link, an admin could act as that member.
    """
    if not can_be_invited(staff):
        raise Conflict("The member has signed in before. Ask the operator for a sign-in link.")
    return SignInLink.make_invitation(staff)


def can_be_invited(staff: Staff) -> bool:
    """Return whether a member has not used an invitation yet.

    Members of earlier versions have no time of their last sign-in, but a password.
    """
    if staff.last_sign_in_at is not None:
        return False
    belongs_elsewhere = (
        staff.has_other_memberships()
    )  # asked always, so that the time reveals nothing
    return not staff.person.password or belongs_elsewhere


def change_role(staff: Staff, role: str) -> Staff:
    """Change a member's role. The member's next request has the new one.

    Raises:
        Unacceptable: the role does not exist.
        Conflict: the member is the last admin.
        NotFound: another process removed the member meanwhile.
    """
    if role not in STAFF_ROLES:
        raise Unacceptable("/role", "not_found", "Choose a role that exists.")
    in_transaction(_change_role, staff.organization_id, staff.id, role)
    return Staff.fetch(staff.organization_id, staff.id)


def remove_member(staff: Staff, *, may_be_last_admin: bool = False) -> None:
    """Remove a member, and everything that names the person in the organization.

    The row stays, because the audit names its ID.

    Raises:
        Conflict: the member is the last admin.
        NotFound: another process removed the member meanwhile.
    """
    in_transaction(_remove, staff.organization_id, staff.id, may_be_last_admin=may_be_last_admin)


def end_member_sessions(staff: Staff) -> None:
    """End the member's sessions in this organization, and void the links to it.

    Sessions of the same person in other organizations stay.
    """
    Staff.objects(id=staff.id, organization_id=staff.organization_id).update_one(inc__epoch=1)
    for kind in SECRET_KINDS:
        kind.end_of_member(staff.id)


def _change_role(tx: Tx, organization_id: ObjectId, staff_id: ObjectId, role: str) -> None:
    held = _find_member(tx, organization_id, staff_id)
    if role != ADMIN:
        _check_another_admin(tx, held)
    _update(tx, staff_id, {"$set": {"role": role}})


def _remove(
    tx: Tx, organization_id: ObjectId, staff_id: ObjectId, *, may_be_last_admin: bool
) -> None:
    held = _find_member(tx, organization_id, staff_id)
    if not may_be_last_admin:
        _check_another_admin(tx, held)
    gone = {"$set": {"deleted_at": now()}, "$unset": dict.fromkeys(PERSONAL_FIELDS, "")}
    _update(tx, staff_id, gone)
    end_memberships(tx, [held])


def _find_member(tx: Tx, organization_id: ObjectId, staff_id: ObjectId) -> dict[str, Any]:
    query = {"_id": staff_id, "organization_id": organization_id, "deleted_at": None}
    held: dict[str, Any] | None = tx.database.staff.find_one(query, session=tx.session)
    if held is None:
        raise NotFound
    return held


def _check_another_admin(tx: Tx, held: dict[str, Any]) -> None:
    """Check that the organization keeps an admin without this member.

    Raises:
        Conflict: it does not.
    """
    if held["role"] != ADMIN:
        return
    organization_id = held["organization_id"]
    # Each loss of an admin writes this record. So of two at once, one starts again and sees the
    # other.
    tx.database.organizations.update_one(
        {"_id": organization_id}, {"$inc": {"lost_admins": 1}}, session=tx.session
    )
    others = {"organization_id": organization_id, "deleted_at": None, "role": ADMIN}
    others |= {"_id": {"$ne": held["_id"]}}
    if tx.database.staff.find_one(others, {"_id": 1}, session=tx.session) is None:
        raise Conflict(LAST_ADMIN)


def _update(tx: Tx, staff_id: ObjectId, change: dict[str, Any]) -> None:
    counted = {**change, "$inc": {"version": 1}}
    tx.database.staff.update_one({"_id": staff_id}, counted, session=tx.session)
