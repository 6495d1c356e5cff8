"""The demo university's staff member, who signs in without a password."""

from datetime import timedelta

from bson import ObjectId

from documents.access.members import remove_member
from documents.access.staff import Staff
from documents.access.staff_session import SignInLink
from service.dashboard.sign_in_links import build_sign_in_link
from service.local.demo.university import DemoUniversity

DEMO_STAFF_ADDRESS, DEMO_STAFF_NAME = "staff@demo.example.edu", "Demo Staff"
DEMO_LINK_LIFETIME = timedelta(days=1)


def make_dashboard_link(url: str, place: DemoUniversity) -> str:
    """Return a sign-in link for the demo. It works repeatedly for one day, on this machine only."""
    staff = Staff.known(DEMO_STAFF_ADDRESS)
    if staff is not None and str(staff.organization_id) != place.organization_id:
        remove_member(staff, may_be_last_admin=True)  # belongs to an earlier demo
        staff = None
    if staff is None:
        staff = Staff.add(
            ObjectId(place.organization_id), DEMO_STAFF_NAME, DEMO_STAFF_ADDRESS, "admin"
        )
    return build_sign_in_link(url, SignInLink.make(staff, DEMO_LINK_LIFETIME, reusable=True))
