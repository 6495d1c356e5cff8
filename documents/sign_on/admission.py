"""The member as whom a person signs in through the organization's provider."""

from collections.abc import Callable
from dataclasses import dataclass

from bson import ObjectId
from mongoengine import NotUniqueError

from config.database import await_majority
from documents.access.members import change_role
from documents.access.roles import StaffRole
from documents.access.staff import Staff
from documents.errors import Conflict
from documents.organization import list_in_deletion
from documents.sign_on.person import Person
from documents.sign_on.rejections import SignOnRejected
from documents.sign_on.rules import check_identity
from documents.sign_on.sign_on_provider import SignOnProvider

MAX_ADMISSION_ATTEMPTS = 5
RoleChoice = Callable[[StaffRole | None], StaffRole]


@dataclass(frozen=True, slots=True)
class Admission:
    """A member who may sign in.

    Attributes:
        former_role: the role before this sign-in; None for a new member.
    """

    staff: Staff
    former_role: StaffRole | None


def admit_person(provider: SignOnProvider, person: Person, choose_role: RoleChoice) -> Admission:
    """Return the person's member, with the role that the claims give.

    The provider's ID of the person finds the member, and otherwise the verified address does. A new
    person becomes a member if the rules admit them.

    Args:
        provider: the organization's provider, which has signed the person in.
        choose_role: returns the role for the current one, which is None for a new person.

    Raises:
        SignOnRejected: the rules do not admit the person, the address belongs to another one, or
            the organization is in deletion.
        Conflict: other requests are changing the member.
    """
    if list_in_deletion([provider.organization_id]):  # it began while the provider was answering
        raise SignOnRejected("provider_missing")
    for _ in range(MAX_ADMISSION_ATTEMPTS):
        known = _find_member(provider, person)
        role = choose_role(known.role if known else None)
        member = known or _add_member(provider.organization_id, person, role)
        if member is not None and _claim_identity(member, provider, person):
            return Admission(_follow_claims(member, role), known.role if known else None)
        await_majority()  # so that the next attempt reads what the other request wrote
    raise Conflict("Another request is changing this member. Retry the request.")


def _find_member(provider: SignOnProvider, person: Person) -> Staff | None:
    own = {"organization_id": provider.organization_id, "deleted_at": None}
    found: Staff | None = Staff.objects(**own, subject=person.identity).first()
    if found is not None:
        return found
    for one in Staff.list_with_account(person.address):
        if one.organization_id == provider.organization_id:
            # Members of earlier versions have no client ID.
            is_other = one.subject_client_id not in (None, provider.client_id)
            check_identity(person, one.subject, has_other_client=is_other)
            return one
    return None


def _add_member(organization_id: ObjectId, person: Person, role: StaffRole) -> Staff | None:
    try:
        return Staff.add(organization_id, person.name, person.email, role)
    except Conflict:  # another request of the same person was earlier
        return None


def _claim_identity(member: Staff, provider: SignOnProvider, person: Person) -> bool:
    """Note whom the provider calls this member; False if another request was earlier."""
    known = (member.subject, member.subject_client_id)
    if known == (person.identity, provider.client_id):
        return True
    unchanged = Staff.objects(
        id=member.id,
        organization_id=member.organization_id,
        deleted_at=None,
        subject=member.subject,
    )
    try:
        return bool(
            unchanged.update_one(
                set__subject=person.identity, set__subject_client_id=provider.client_id
            )
        )
    except NotUniqueError:
        return False


def _follow_claims(member: Staff, role: StaffRole) -> Staff:
    if member.role == role:
        return member
    try:
        return change_role(member, role)
    except Conflict:  # the last admin stays an admin, so that someone can change the settings
        return member
