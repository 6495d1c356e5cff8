"""The choice of a fundraiser's digest, and unsubscribing from it without sign-in."""

from typing import Any

import falcon

from documents.access.audit import OpenAct
from documents.access.staff import Staff
from documents.digests.choice import DigestChoice
from documents.digests.rules import DIGEST_FREQUENCIES
from documents.digests.unsubscribe_token import UnsubscribeTarget, read_unsubscribe_token
from documents.fundraiser import Fundraiser
from documents.mail.mail import has_mail_server
from documents.organization import Organization
from documents.storage.tenancy import act_for
from service.api.parsing import read_bytes
from service.dashboard.forms import MAX_FORM_BYTES, Form, read_choice
from service.dashboard.page import form, path_secret, redirect_to
from service.dashboard.presentation.formats import formats_of
from service.dashboard.presentation.language import language_of
from service.dashboard.presentation.wording import DIGEST_LABELS
from service.dashboard.render import render_page

NO_DIGEST = "none"
ACCOUNT_PLACE = "account"


class DigestForms:
    """/dashboard/fundraisers/{id}/digest"""

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form, id: str) -> None:
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        chosen = read_choice(form, "frequency", DIGEST_LABELS)
        frequency = next((one for one in DIGEST_FREQUENCIES if one == chosen), None)
        zone = req.context.organization.zone
        DigestChoice.choose(req.context.staff.id, fundraiser, frequency, zone)
        if form.text("place") == ACCOUNT_PLACE:
            redirect_to(resp, "/dashboard/account?done=digest#digests-title")
        else:
            redirect_to(resp, f"/dashboard/fundraisers/{id}?done=digest#digest-title")


class Unsubscribe:
    """/dashboard/digests/unsubscribe/{token}: the link in each digest, for RFC 8058.

    Link scanners of mail servers follow links, so only a POST unsubscribes. It needs no sign-in and
    no form token, because mail programs send it. Its body does not matter.
    """

    @path_secret
    def on_get(self, req: falcon.Request, resp: falcon.Response, token: str) -> None:
        _show(req, resp, _read(token))

    @path_secret
    def on_post(self, req: falcon.Request, resp: falcon.Response, token: str) -> None:
        target = _read(token)
        read_bytes(req, MAX_FORM_BYTES)
        staff = Staff.objects(id=target.staff_id).first()
        if DigestChoice.end(*target) and staff is not None:
            action = f"{req.method} {req.uri_template}"
            act = {"record": str(target.fundraiser_id)}
            OpenAct.begin(staff.organization_id, f"staff:{staff.id}", action, **act).finish(200)
        _show(req, resp, target)


def read_digest_values(staff: Staff, fundraiser: Fundraiser) -> dict[str, Any]:
    """Return what the form of a fundraiser's digest needs."""
    choice = DigestChoice.find(staff.id, fundraiser.id)
    return {
        "digest": choice.frequency if choice else NO_DIGEST,
        "sends_mail": has_mail_server(),
    }


def _read(token: str) -> UnsubscribeTarget:
    target = read_unsubscribe_token(token)
    if target is None:
        raise falcon.HTTPNotFound
    return target


def _show(req: falcon.Request, resp: falcon.Response, target: UnsubscribeTarget) -> None:
    """Show the state of the digest, in the language of the staff member's organization."""
    staff = Staff.objects(id=target.staff_id).first()
    organization = Organization.objects(id=staff.organization_id).first() if staff else None
    fundraiser = None
    if organization is not None:
        req.context.formats = formats_of(language_of(organization.locale), organization.zone)
        with act_for(organization.id):
            fundraiser = Fundraiser.objects(id=target.fundraiser_id).first()
    render_page(
        req,
        resp,
        "unsubscribe.html",
        fundraiser=fundraiser,
        choice=DigestChoice.find(*target),
    )
