"""The staff member who sends a request, and the organization that the browser shows."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import quote

import falcon

from documents.access.grants import is_accepted
from documents.access.roles import StaffRole
from documents.access.staff import Staff
from documents.access.staff_session import StaffSession
from documents.organization import Organization
from documents.storage.personal_data import hide_personal_data
from documents.storage.tenancy import act_for
from service.dashboard import cookies
from service.dashboard.form_tokens import make_organization_token
from service.dashboard.presentation.formats import formats_of
from service.dashboard.presentation.language import language_of, marked
from service.dashboard.route_roles import find_required_role
from service.middleware.client_address import find_client_address
from service.middleware.rate_limit import count_anonymous_request, count_staff_request

SIGN_IN_PATH = "/dashboard/sign-in"
MAX_BACK_LENGTH = 1500
FORBIDDEN_MESSAGES: dict[StaffRole, str] = {
    "editor": marked(
        "Only editors and admins of your organization can open this page. Ask an admin."
    ),
    "admin": marked("Only admins of your organization can open this page. Ask an admin."),
}


def enter_session(req: falcon.Request) -> AbstractContextManager[None]:
    """Put the staff member and the organization into the request's context.

    Raises:
        falcon.HTTPSeeOther: no staff member is signed in. The sign-in page leads back here.
        falcon.HTTPForbidden: the route requires another role.
    """
    secret = cookies.read_secret(req, cookies.SESSION_COOKIE)
    is_used = req.get_header("X-Refresh") is None  # live.js sends it
    session = StaffSession.current(secret, is_used=is_used) if secret else None
    staff = Staff.signed_in(session)
    organization = Organization.objects(id=staff.organization_id).first() if staff else None
    if not (secret and session and staff and _is_granted(session, staff, organization)):
        raise _lead_to_sign_in(req, staff)
    count_staff_request(session.id)
    req.context.staff, req.context.session = staff, session
    req.context.session_id = session.id
    req.context.organization_id = staff.organization_id
    req.context.organization = organization
    if organization:
        req.context.formats = formats_of(language_of(organization.locale), organization.zone)
    req.context.actor = f"staff:{staff.id}"
    req.context.form_token = make_organization_token(secret, staff.organization_id)
    required = find_required_role(req.method, req.uri_template or "")
    if not staff.can(required):
        raise falcon.HTTPForbidden(description=FORBIDDEN_MESSAGES.get(required))
    return _limit(staff, organization)


@contextmanager
def _limit(staff: Staff, organization: Organization | None) -> Iterator[None]:
    """Limit the request to the organization, and to what the role may see of people."""
    hides = bool(organization and organization.hides_personal_data) and not staff.can("editor")
    with act_for(staff.organization_id), hide_personal_data(hides):
        yield


def _is_granted(session: StaffSession, staff: Staff, organization: Organization | None) -> bool:
    """Return whether this browser has proved who the person is, as the organization requires.

    An organization in deletion is closed. A sign-in that began before can store its session after.
    """
    if organization is None or organization.deleting_at is not None:
        return False
    requires = bool(organization.requires_single_sign_on)
    way = session.find_way(staff.id, staff.epoch)
    return is_accepted(way, requires_single_sign_on=requires)


def _lead_to_sign_in(req: falcon.Request, staff: Staff | None) -> falcon.HTTPSeeOther:
    """Lead to the sign-in page; for a person without a grant, to that of the organization."""
    count_anonymous_request(find_client_address(req))
    back = quote(req.relative_uri, safe="") if req.method == "GET" else ""
    query = [f"back={back}"] if 0 < len(back) <= MAX_BACK_LENGTH else []
    query += [f"organization={staff.organization_id}"] if staff else []
    return falcon.HTTPSeeOther(f"{SIGN_IN_PATH}?{'&'.join(query)}" if query else SIGN_IN_PATH)
