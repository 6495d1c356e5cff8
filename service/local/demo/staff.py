"""The demo university's staff member, who signs in without a password."""

from datetime import timedelta

from bson import ObjectId

from documents.access.staff import Staff
from documents.access.staff_session import SignInLink
from service.dashboard.sign_in_links import sign_in_link
from service.local.demo.university import University

ADDRESS, NAME = "staff@demo.example.edu", "Demo Staff"
LASTS = timedelta(days=1)


def dashboard_link(url: str, place: University) -> str:
    """Return a sign-in link for the demo. It works repeatedly for one day, on this machine only."""
    staff = Staff.known(ADDRESS)
    if staff is not None and str(staff.organization_id) != place.organization_id:
        staff.remove()  # belongs to an earlier demo
        staff = None
    if staff is None:
        staff = Staff.add(ObjectId(place.organization_id), NAME, ADDRESS, "admin")
    return sign_in_link(url, SignInLink.make(staff, LASTS, reusable=True))
