"""The people of the organization: invitations, roles, sessions and removals, for admins."""

import falcon

from config.settings import get_settings
from documents.access.members import (
    can_be_invited,
    change_role,
    end_member_sessions,
    invite_member,
    repeat_invitation,
)
from documents.access.roles import STAFF_ROLES
from documents.access.staff import Staff
from documents.errors import Unacceptable
from documents.mail.invitation import put_invitation
from documents.removal import remove_staff
from service.dashboard.forms import Form
from service.dashboard.page import form, page, redirect_to
from service.dashboard.pages.webhook_endpoints import explain_conflict
from service.dashboard.presentation.language import marked
from service.dashboard.queries import PageQuery
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
LAST_ADMIN = marked("This is the last admin. Make another staff member an admin first.")


class StaffQuery(PageQuery):
    done: str = ""


class StaffPages:
    """/dashboard/settings/staff, and the forms of one staff member"""

    @page(query=StaffQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: StaffQuery) -> None:
        render_page(
            req,
            resp,
            "staff.html",
            people=list(Staff.live(req.context.organization_id).order_by("id")),
            roles=STAFF_ROLES,
            can_be_invited=can_be_invited,
            done=STAFF_MESSAGES.get(query.done, ""),
        )

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        role = form.text("role")
        if role not in STAFF_ROLES:
            raise Unacceptable("/role", "not_found", "Choose a role that exists.")
        email, name = form.text("email"), form.text("name")
        with explain_conflict(ALREADY_MEMBER):
            invited, secret = invite_member(req.context.organization_id, name or email, email, role)
        if put_invitation(invited):
            redirect_to(resp, f"{STAFF_PATH}?done=mailed")
            return
        _show_invitation(req, resp, invited, secret)

    @form()
    def on_post_link(self, req: falcon.Request, resp: falcon.Response, id: str, form: Form) -> None:
        member = Staff.fetch(req.context.organization_id, id)
        with explain_conflict(SIGNED_IN_BEFORE):
            secret = repeat_invitation(member)
        _show_invitation(req, resp, member, secret)

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


def _show_invitation(
    req: falcon.Request, resp: falcon.Response, member: Staff, secret: str
) -> None:
    link = build_sign_in_link(get_settings().url, secret)
    render_page(req, resp, "invitation.html", 201, member=member, link=link)
