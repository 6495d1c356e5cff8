"""The organizations of a person who belongs to several: the switch in the header."""

import falcon
from bson import ObjectId

from documents.access.audit import OpenAct
from documents.access.grants import is_accepted
from documents.access.staff import Staff
from documents.errors import NotFound
from documents.organization import Organization
from documents.storage.tenancy import act_for
from service.dashboard.forms import Form
from service.dashboard.page import HOME_PATH, SIGN_IN_PATH, form, redirect_to


class OrganizationSwitch:
    """/dashboard/organization"""

    @form(for_account=True)
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        member = _find_membership(req, form.text("organization"))
        organization = Organization.named(str(member.organization_id))
        way = req.context.session.find_way(member.id, member.epoch)
        requires = organization.requires_single_sign_on
        if not is_accepted(way, requires_single_sign_on=requires):
            redirect_to(resp, f"{SIGN_IN_PATH}?organization={member.organization_id}")
            return
        req.context.session.show(member)
        with act_for(member.organization_id):
            member.note_sign_in()
            action = f"{req.method} {req.uri_template}"
            OpenAct.begin(member.organization_id, f"staff:{member.id}", action).finish(303)
        redirect_to(resp, HOME_PATH)


def _find_membership(req: falcon.Request, organization_id: str) -> Staff:
    staff: Staff = req.context.staff
    members = Staff.list_of_account(staff.account_id) if staff.account_id else [staff]
    known = [one for one in members if req.context.session.knows(one.id)]
    for one in known:
        if ObjectId.is_valid(organization_id) and one.organization_id == ObjectId(organization_id):
            return one
    raise NotFound
