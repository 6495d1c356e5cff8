"""The organization's identity provider, and whom it may sign in, for admins."""

from typing import Any

import falcon

from documents.access.roles import STAFF_ROLES
from documents.access.staff_session import StaffSession
from documents.errors import NotFound, Unacceptable
from documents.sign_on.discovery import discover_provider
from documents.sign_on.draft import build_tried_provider, discard_draft
from documents.sign_on.policy import ADMISSION_MODES
from documents.sign_on.provider_changes import (
    change_provider,
    change_rules,
    check_password_remains,
    remove_provider,
)
from documents.sign_on.rejections import SignOnRejected
from documents.sign_on.request_slots import count_requests_for
from documents.sign_on.requirement import (
    is_proof_current,
    require_single_sign_on,
    stop_requiring_single_sign_on,
)
from documents.sign_on.sign_on_acts import list_rejections
from documents.sign_on.sign_on_provider import SignOnProvider
from service.dashboard.forms import Form
from service.dashboard.page import form, page, redirect_to
from service.dashboard.pages.providers import require_master_key
from service.dashboard.pages.webhook_endpoints import explain_conflict
from service.dashboard.presentation.language import marked
from service.dashboard.presentation.sign_on_texts import explain_to_admin
from service.dashboard.provider_sign_in import lead_to_provider
from service.dashboard.queries import PageQuery
from service.dashboard.render import render_page
from service.sign_on.urls import build_back_channel_url, build_callback_url, build_signed_out_url

SIGN_ON_PATH = "/dashboard/settings/sign-on"
SIGN_ON_MESSAGES = {
    "set": marked("Provider saved. Check it now, then sign in through it."),
    "rules": marked("Rules saved. They apply to each sign-in from now on."),
    "checked": marked(
        "The provider answers. It checks the client ID and the secret at the first sign-in."
    ),
    "required": marked("Single sign-on is required from now on. Passwords no longer work here."),
    "optional": marked("Passwords work again."),
    "waits": marked("Saved, but not in effect yet. Sign in with the new settings to confirm them."),
    "adopted": marked("The new settings work, and are in effect from now on."),
    "discarded": marked("New settings discarded."),
    "removed": marked("Provider removed. Staff sign in with a password."),
}
SIGN_IN_FIRST = marked(
    "First sign out, then sign in through the provider with its present settings. So you know that "
    "it works before passwords end."
)
END_REQUIREMENT_FIRST = marked(
    "Single sign-on is required, so a change of the provider could lock everyone out. Accept "
    "passwords first, then change the provider."
)
PASSWORD_FIRST = marked(
    "No admin has a password, so the provider is the only way in. Choose a password on the account "
    "page first."
)


class SignOnQuery(PageQuery):
    done: str = ""


class SignOnSettings:
    """/dashboard/settings/sign-on, and its forms"""

    @page(query=SignOnQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: SignOnQuery) -> None:
        _show(req, resp, done=SIGN_ON_MESSAGES.get(query.done, ""))

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        with explain_conflict(END_REQUIREMENT_FIRST), require_master_key():
            changed = change_provider(
                req.context.organization,
                form.text("issuer"),
                form.text("client_id"),
                form.text("client_secret") or None,
                session_id=req.context.session_id,
            )
        _report(resp, changed, "set")

    @form()
    def on_post_rules(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        changed = change_rules(
            req.context.organization,
            _fetch_provider(req),
            admission=form.text("admission"),
            default_role=form.text("default_role"),
            group_claim=form.text("group_claim"),
            group_roles=_read_groups(form),
            scopes=form.text("provider_scopes").split(),
            accepts_missing_verification=bool(form.text("accepts_missing_verification")),
        )
        changed = changed.set_sign_out(ends_sessions=bool(form.text("ends_sessions")))
        _report(resp, changed, "rules")

    @form()
    def on_post_trial(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        """Sign in with the settings that wait, or discard them."""
        provider = _fetch_provider(req)
        if form.text("discard"):
            discard_draft(provider)
            redirect_to(resp, f"{SIGN_ON_PATH}?done=discarded")
        elif provider.draft_id is None:
            redirect_to(resp, SIGN_ON_PATH)
        else:
            back, email = f"{SIGN_ON_PATH}?done=adopted", req.context.staff.email
            lead_to_provider(req, resp, provider, back, email, is_trial=True)

    @form()
    def on_post_remove(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        organization_id = _fetch_provider(req).organization_id
        with explain_conflict(PASSWORD_FIRST):
            check_password_remains(organization_id)
        with explain_conflict(END_REQUIREMENT_FIRST):
            remove_provider(organization_id)
        redirect_to(resp, f"{SIGN_ON_PATH}?done=removed")

    @form()
    def on_post_check(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        provider = _fetch_provider(req)
        try:
            with count_requests_for(provider.organization_id):
                discover_provider(provider.issuer, is_fresh=True)
        except SignOnRejected as rejected:
            _show(req, resp, problem=explain_to_admin(rejected.reason), status=422)
            return
        redirect_to(resp, f"{SIGN_ON_PATH}?done=checked")

    @form()
    def on_post_required(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        organization, provider = req.context.organization, _fetch_provider(req)
        if not form.text("required"):
            stop_requiring_single_sign_on(organization)
            redirect_to(resp, f"{SIGN_ON_PATH}?done=optional")
            return
        with explain_conflict(SIGN_IN_FIRST):
            require_single_sign_on(organization, provider, _find_proof(req))
        redirect_to(resp, f"{SIGN_ON_PATH}?done=required")


def _fetch_provider(req: falcon.Request) -> SignOnProvider:
    provider = SignOnProvider.of(req.context.organization_id)
    if provider is None:
        raise NotFound
    return provider


def _report(resp: falcon.Response, changed: SignOnProvider, done: str) -> None:
    """Report a change, or that it waits for a sign-in."""
    redirect_to(resp, f"{SIGN_ON_PATH}?done={'waits' if changed.draft_id else done}")


def _find_proof(req: falcon.Request) -> Any:
    """Return the single sign-on by which the browser shows the organization; None without one."""
    session: StaffSession = req.context.session
    is_signed_on = session.find_way(req.context.staff.id, req.context.staff.epoch)
    return session.find_proof(req.context.staff.id) if is_signed_on == "single sign-on" else None


def _read_groups(form: Form) -> dict[str, str]:
    """Return the role of each group. The form has one list of groups for each role.

    Raises:
        Unacceptable: a group is in two lists.
    """
    roles: dict[str, str] = {}
    for role in STAFF_ROLES:
        groups = {line.strip() for line in form.text(f"{role}_groups").splitlines()} - {""}
        if groups & roles.keys():
            raise Unacceptable("/group_roles", "repeated", "A group has two roles.")
        roles |= dict.fromkeys(sorted(groups), role)
    return roles


def _show(
    req: falcon.Request,
    resp: falcon.Response,
    *,
    done: str = "",
    problem: str = "",
    status: int = 200,
) -> None:
    organization_id = req.context.organization_id
    provider = SignOnProvider.of(organization_id)
    render_page(
        req,
        resp,
        "sign_on.html",
        status,
        provider=provider,
        rules=build_tried_provider(provider) if provider else None,
        modes=ADMISSION_MODES,
        roles=STAFF_ROLES,
        can_require=provider is not None and is_proof_current(provider, _find_proof(req)),
        urls={
            "redirect": build_callback_url(organization_id),
            "back_channel": build_back_channel_url(organization_id),
            "signed_out": build_signed_out_url(),
        },
        rejections=[
            (one, explain_to_admin(one.reason)) for one in list_rejections(organization_id)
        ],
        done=done,
        problem=problem,
    )
