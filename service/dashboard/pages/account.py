"""A staff member's own account: the password, the open sessions, and the digests."""

import falcon
from bson import ObjectId

from documents.access.grants import list_membership_rows
from documents.access.member import PasswordOpensOthers
from documents.access.staff import Staff
from documents.access.staff_session import StaffSession
from documents.digests.choice import DigestChoice
from documents.errors import Unacceptable
from documents.mail.mail import has_mail_server
from documents.mail.password_mails import put_change_mail
from service.dashboard.forms import Form
from service.dashboard.page import SIGN_IN_PATH, form, page, redirect_to
from service.dashboard.presentation.language import marked
from service.dashboard.queries import PageQuery
from service.dashboard.render import render_page
from service.dashboard.session_start import continue_session
from service.middleware.client_address import find_client_address
from service.middleware.rate_limit import count_sign_in

# It does not name the reason, another organization, because an admin could follow an invitation.
OPERATOR_LINK_NEEDED = marked(
    "You already have a password, and this browser cannot replace it. Reset it on the sign-in "
    "page, or ask your Matchback operator for a sign-in link."
)


SINGLE_SIGN_ON_REQUIRED = marked(
    "This organization requires single sign-on, so no password opens it. Switch to another "
    "organization to change your password."
)


class AccountQuery(PageQuery):
    done: str = ""


class Account:
    """/dashboard/account"""

    @page(query=AccountQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: AccountQuery) -> None:
        render_page(
            req,
            resp,
            "account.html",
            sessions=_list_sessions(req),
            current=req.context.session_id,
            is_of_person=req.context.session.is_of_person,
            needs_current=_needs_current(req),
            done=query.done,
            has_password=req.context.staff.is_opened_by_password,
            digests=DigestChoice.list_of(req.context.staff.id),
            sends_mail=has_mail_server(),
        )

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        staff: Staff = req.context.staff
        count_sign_in(str(staff.person.id), find_client_address(req))
        session: StaffSession = req.context.session
        if req.context.organization.requires_single_sign_on:
            raise falcon.HTTPConflict(description=SINGLE_SIGN_ON_REQUIRED)
        knows_current = _needs_current(req)
        if knows_current and not staff.has_password(form.raw("current")):
            raise Unacceptable("/current", "wrong", "The current password is incorrect.")
        opens = _list_proved_memberships(staff, session, knows_current=knows_current)
        try:
            changed = staff.set_password(form.raw("password"), opens=opens, kept_session=session.id)
        except PasswordOpensOthers:
            raise falcon.HTTPConflict(description=OPERATOR_LINK_NEEDED) from None
        put_change_mail(changed)
        stays = continue_session(req, resp, changed, opens)
        redirect_to(resp, f"{req.path}?done=changed" if stays else f"{SIGN_IN_PATH}?done=password")


def _list_sessions(req: falcon.Request) -> list[StaffSession]:
    """Return the person's sessions in the organizations that this browser may know."""
    current: StaffSession = req.context.session
    return [one for one in StaffSession.of(req.context.staff) if current.knows(one.staff_id)]


def _needs_current(req: falcon.Request) -> bool:
    """Return whether the current password is required. A sign-in link replaces it.

    It is also required if this browser could show another organization that the password opens.
    """
    staff, session = req.context.staff, req.context.session
    if session.can_skip_password or staff.person.password is None:
        return False
    return any(staff.person.opens(id_) for id_ in _list_opened(staff, session))


def _list_opened(staff: Staff, session: StaffSession) -> list[ObjectId]:
    """Return the memberships to which this browser has proved who the person is."""
    rows = list_membership_rows(staff.account_id) if staff.account_id else []
    proved = {row["_id"] for row in rows if session.find_way(row["_id"], row.get("epoch", 0))}
    return sorted(proved | {staff.id})


def _list_proved_memberships(
    staff: Staff, session: StaffSession, *, knows_current: bool
) -> list[ObjectId]:
    """Return the memberships that a new password opens; empty for all.

    They are those to which this browser has proved who the person is.
    """
    person = staff.person
    if session.is_of_person or (knows_current and not person.password_opens):
        return []
    known = person.password_opens if knows_current else ()
    return sorted({*_list_opened(staff, session), *known})
