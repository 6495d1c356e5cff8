"""Acts of an admin, or of the command line, on the members of one organization.

An organization keeps at least one admin, who can invite others.
"""

import re
from collections.abc import Sequence
from typing import Any

from bson import ObjectId

from documents.access.departures import PERSONAL_FIELDS, end_memberships
from documents.access.member import MEMBER_SECRET_KINDS, has_arrived
from documents.access.roles import STAFF_ROLES, StaffRole
from documents.access.staff import Staff
from documents.errors import Conflict, NotFound, Unacceptable
from documents.storage.pagination import RecordPage, list_page
from documents.storage.transaction import in_transaction
from documents.values.time import now
from matchback.engine import Tx

MEMBERS_A_PAGE = 100
ADMIN: StaffRole = "admin"
LAST_ADMIN = "This is the organization's last admin who has signed in. Add another admin first."


def list_members(organization_id: ObjectId, search: str, cursor: str | None) -> RecordPage:
    """Return one page of an organization's members, oldest first.

    Args:
        search: part of a name or an address; empty for all members.

    Raises:
        InvalidCursor: this list did not make the cursor.
    """
    part = {"$regex": re.escape(search), "$options": "i"}
    filters = {"$or": [{"name": part}, {"email": part}]} if search else {}
    return list_page(
        Staff, organization_id, filters=filters, sort="_id", limit=MEMBERS_A_PAGE, cursor=cursor
    )


def check_invitable(staff: Staff) -> None:
    """Check that a member may get another invitation.

    Raises:
        Conflict: the member has signed in before. With a link, an admin could act as that member.
    """
    if staff.id not in find_invitable([staff]):
        raise Conflict("The member has signed in before. Ask the operator for a sign-in link.")


def find_invitable(members: Sequence[Staff]) -> set[ObjectId]:
    """Return the IDs of the members who have not used an invitation yet."""
    return {one.id for one in members if not one.has_arrived}


def change_role(staff: Staff, role: str, *, counts_invited: bool = False) -> Staff:
    """Change a member's role. The member's next request has the new one.

    Args:
        counts_invited: whether another admin counts who has never signed in. The operator can make
            a sign-in link for such an admin.

    Raises:
        Unacceptable: the role does not exist.
        Conflict: the member is the last admin.
        NotFound: another process removed the member meanwhile.
    """
    if role not in STAFF_ROLES:
        raise Unacceptable("/role", "not_found", "Choose a role that exists.")
    in_transaction(_change_role, staff.organization_id, staff.id, role, counts_invited)
    return Staff.fetch(staff.organization_id, staff.id)


def remove_member(
    staff: Staff, *, counts_invited: bool = False, may_be_last_admin: bool = False
) -> None:
    """Remove a member, and everything that names the person in the organization.

    The row stays, because the audit names its ID.

    Args:
        counts_invited: see `change_role`.
        may_be_last_admin: whether the organization may lose its last admin, as in a demo.

    Raises:
        Conflict: the member is the last admin.
        NotFound: another process removed the member meanwhile.
    """
    guard = not may_be_last_admin
    in_transaction(_remove, staff.organization_id, staff.id, guard, counts_invited)


def end_member_sessions(staff: Staff) -> None:
    """End the member's sessions in this organization, and void the links to it.

    Sessions of the same person in other organizations stay.
    """
    Staff.objects(id=staff.id, organization_id=staff.organization_id).update_one(inc__epoch=1)
    for kind in MEMBER_SECRET_KINDS:
        kind.end_of_member(staff.id)


def _change_role(
    tx: Tx, organization_id: ObjectId, staff_id: ObjectId, role: str, counts_invited: bool
) -> None:
    held = _find_member(tx, organization_id, staff_id)
    if role != ADMIN:
        _check_another_admin(tx, held, counts_invited=counts_invited)
    _update(tx, staff_id, {"$set": {"role": role}})


def _remove(
    tx: Tx, organization_id: ObjectId, staff_id: ObjectId, guards: bool, counts_invited: bool
) -> None:
    held = _find_member(tx, organization_id, staff_id)
    if guards:
        _check_another_admin(tx, held, counts_invited=counts_invited)
    gone = {"$set": {"deleted_at": now()}, "$unset": dict.fromkeys(PERSONAL_FIELDS, "")}
    _update(tx, staff_id, gone)
    end_memberships(tx, [held])


def _find_member(tx: Tx, organization_id: ObjectId, staff_id: ObjectId) -> dict[str, Any]:
    query = {"_id": staff_id, "organization_id": organization_id, "deleted_at": None}
    held: dict[str, Any] | None = tx.database.staff.find_one(query, session=tx.session)
    if held is None:
        raise NotFound
    return held


def _check_another_admin(tx: Tx, held: dict[str, Any], *, counts_invited: bool) -> None:
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
    if not _has_other_admin(tx, others, counts_invited=counts_invited):
        raise Conflict(LAST_ADMIN)


def _has_other_admin(tx: Tx, others: dict[str, Any], *, counts_invited: bool) -> bool:
    """Return whether another admin has a way in. An invited one may never arrive."""
    found = list(tx.database.staff.find(others, session=tx.session))
    return any(counts_invited or has_arrived(one) for one in found)


def _update(tx: Tx, staff_id: ObjectId, change: dict[str, Any]) -> None:
    counted = {**change, "$inc": {"version": 1}}
    tx.database.staff.update_one({"_id": staff_id}, counted, session=tx.session)
