"""Sign-out from Matchback, and at the organization's provider."""

import falcon

from documents.access.members import end_member_sessions
from documents.access.staff import Staff
from documents.access.staff_session import StaffSession
from service.dashboard import cookies
from service.dashboard.forms import Form
from service.dashboard.page import SIGN_IN_PATH, form, redirect_to
from service.dashboard.provider_sign_in import leave
from service.sign_on.provider_sign_out import find_provider_sign_out_url


class SignOut:
    """/dashboard/sign-out, for this browser or for all, and at the provider"""

    @form(for_account=True)
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        staff: Staff = req.context.staff
        session: StaffSession = req.context.session
        if form.text("everywhere") and session.is_of_person:
            staff.sign_out_everywhere()
        elif form.text("everywhere"):
            end_member_sessions(staff)
        StaffSession.objects(id=session.id).delete()
        cookies.delete_cookie(resp, cookies.SESSION_COOKIE)
        resp.set_header(
            "Clear-Site-Data", '"cache"'
        )  # or the Back button would show pages with personal data
        own = session.find_proof(staff.id)
        url = find_provider_sign_out_url(own or next(iter(session.list_proofs()), None))
        if url:
            leave(req, resp, url, is_end=True)
        else:
            redirect_to(resp, SIGN_IN_PATH)
