"""The organizations of a person who belongs to several: the switch in the header."""

import falcon

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
        member = _find_membership(req.context, form.text("organization"))
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


def _find_membership(context: falcon.Context, organization_id: str) -> Staff:
    account_id = context.staff.account_id
    known = {row["_id"] for row in context.session.list_known_rows(account_id)}
    for one in Staff.list_of_account(account_id) if known else []:
        if one.id in known and str(one.organization_id) == organization_id:
            return one
    raise NotFound
