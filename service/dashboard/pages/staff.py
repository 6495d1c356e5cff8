"""The people of the organization: invitations, roles, sessions and removals, for admins."""

import falcon

from config.settings import get_settings
from documents.access.members import (
    change_role,
    check_invitable,
    end_member_sessions,
    find_invitable,
    list_members,
)
from documents.access.roles import STAFF_ROLES
from documents.access.staff import Staff
from documents.errors import Unacceptable
from documents.mail.invitation import send_invitation
from documents.removal import remove_staff
from documents.storage.pagination import InvalidCursor
from service.api.parsing import bad_request
from service.dashboard.forms import Form
from service.dashboard.page import form, page, redirect_to
from service.dashboard.pages.webhook_endpoints import explain_conflict
from service.dashboard.presentation.language import marked
from service.dashboard.queries import BAD_PAGE, Cursor, PageQuery, Search
from service.dashboard.render import render_page
from service.dashboard.sign_in_links import build_sign_in_link

STAFF_PATH = "/dashboard/settings/staff"
STAFF_MESSAGES = {
    "mailed": marked("Invitation sent by mail."),
    "role": marked("Role changed."),
    "ended": marked("Sessions ended."),
    "removed": marked("Staff member removed."),
}
ALREADY_MEMBER = marked("This person is a staff member already. Make a new link for them.")
SIGNED_IN_BEFORE = marked(
    "This person has signed in before, and can reset a forgotten password on the sign-in page."
)
LAST_ADMIN = marked(
    "This is the last admin who has signed in. Make another staff member an admin first."
)


class StaffQuery(PageQuery):
    done: str = ""
    q: Search = ""
    cursor: Cursor | None = None


class StaffPages:
    """/dashboard/settings/staff, and the forms of one staff member"""

    @page(query=StaffQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: StaffQuery) -> None:
        try:
            found = list_members(req.context.organization_id, query.q, query.cursor)
        except InvalidCursor:
            raise bad_request(BAD_PAGE) from None
        render_page(
            req,
            resp,
            "staff.html",
            people=found.records,
            next_cursor=found.next_cursor,
            query=query,
            roles=STAFF_ROLES,
            invitable=find_invitable(found.records),
            done=STAFF_MESSAGES.get(query.done, ""),
        )

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        role = form.text("role")
        if role not in STAFF_ROLES:
            raise Unacceptable("/role", "not_found", "Choose a role that exists.")
        email, name = form.text("email"), form.text("name")
        with explain_conflict(ALREADY_MEMBER):
            invited = Staff.add(req.context.organization_id, name or email, email, role)
        req.context.audited_record = str(invited.id)
        _invite(req, resp, invited)

    @form()
    def on_post_link(self, req: falcon.Request, resp: falcon.Response, id: str, form: Form) -> None:
        member = Staff.fetch(req.context.organization_id, id)
        with explain_conflict(SIGNED_IN_BEFORE):
            check_invitable(member)
        _invite(req, resp, member)

    @form()
    def on_post_role(self, req: falcon.Request, resp: falcon.Response, id: str, form: Form) -> None:
        with explain_conflict(LAST_ADMIN):
            change_role(Staff.fetch(req.context.organization_id, id), form.text("role"))
        redirect_to(resp, f"{STAFF_PATH}?done=role")

    @form()
    def on_post_end(self, req: falcon.Request, resp: falcon.Response, id: str, form: Form) -> None:
        end_member_sessions(Staff.fetch(req.context.organization_id, id))
        redirect_to(resp, f"{STAFF_PATH}?done=ended")

    @form()
    def on_post_remove(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        with explain_conflict(LAST_ADMIN):
            remove_staff(Staff.fetch(req.context.organization_id, id))
        redirect_to(resp, f"{STAFF_PATH}?done=removed")


def _invite(req: falcon.Request, resp: falcon.Response, member: Staff) -> None:
    secret = send_invitation(member)
    if secret is None:
        redirect_to(resp, f"{STAFF_PATH}?done=mailed")
        return
    link = build_sign_in_link(get_settings().url, secret)
    render_page(req, resp, "invitation.html", 201, member=member, link=link)
