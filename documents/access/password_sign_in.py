"""Sign-in by password, which some organizations do not accept."""

from bson import ObjectId

from documents.access.password_reset import find_password_member
from documents.access.staff import Staff


def sign_in_by_password(
    email: str, password: str, organization_id: ObjectId | None = None
) -> Staff | None:
    """Return the member whose organization the browser shows; None if no sign-in is possible.

    The answer is the same for an incorrect password and for a person whose organizations all
    require single sign-on.
    """
    return find_password_member(Staff.list_authenticated(email, password, organization_id))
