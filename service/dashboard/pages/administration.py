"""Settings for admins: language, API keys, providers, match rules and staff."""

from typing import Any

import falcon
from bson import ObjectId

from config.settings import get_settings
from documents.access.api_key import ApiKey
from documents.access.staff import Staff
from documents.fundraiser import Fundraiser
from documents.mail.mail import has_mail_server
from documents.matching.policy import TOUCH_PREFERENCE, MatchPolicy
from documents.matching.policy_version import PolicyVersion
from documents.removal import remove_record
from documents.values.validation import validate_value
from service.api.resources.api_keys import ApiKeyIn
from service.api.resources.match_policies import (
    DAY_SECONDS,
    PolicyIn,
    find_current_policy,
    read_policy,
)
from service.api.resources.organization import OrganizationPatch
from service.dashboard.forms import Form
from service.dashboard.offered_ids import offer_id, read_offered_id
from service.dashboard.page import form, page, redirect_to
from service.dashboard.pages.providers import list_providers
from service.dashboard.pages.webhook_endpoints import list_endpoints
from service.dashboard.presentation.language import marked
from service.dashboard.presentation.locale_names import locale_names
from service.dashboard.queries import PageQuery
from service.dashboard.render import render_page

SETTINGS_MESSAGES = {
    "made": marked("This key exists already. If you lost it, revoke it and create another one."),
    "revoked": marked("Key revoked."),
    "policy": marked("Rules saved. They apply to gifts from now on."),
    "default": marked("Rules removed. The more general rules apply from now on."),
    "locale": marked("Language and formats saved."),
    "privacy": marked("Privacy setting saved. It applies from the next page on."),
    "domains": marked("Email domains saved. They apply to emails recorded from now on."),
    "endpoint-deleted": marked("Webhook endpoint deleted."),
}
MAX_API_KEYS_SHOWN = 100
SETTINGS_PATH = "/dashboard/settings"


class SettingsQuery(PageQuery):
    done: str = ""


class SettingsPage:
    """/dashboard/settings"""

    @page(query=SettingsQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: SettingsQuery) -> None:
        organization_id = req.context.organization_id
        keys = ApiKey.live(organization_id).order_by("-id").limit(MAX_API_KEYS_SHOWN)
        render_page(
            req,
            resp,
            "settings.html",
            keys=list(keys),
            offered=offer_id(req),
            connections=list_providers(organization_id),
            endpoints=list_endpoints(organization_id),
            policies=_policies(organization_id),
            touches=TOUCH_PREFERENCE,
            locales=locale_names(req.context.organization.locale),
            staff_count=Staff.live(organization_id).count(),
            has_mail_server=has_mail_server(),
            mail_sender=get_settings().mail_from,
            done=SETTINGS_MESSAGES.get(query.done, ""),
        )


class ApiKeyForms:
    """/dashboard/api-keys, and /dashboard/api-keys/{id}/revoke"""

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        body = _valid(ApiKeyIn, name=form.text("name"), scopes=form.list_values("scopes"))
        organization_id, id_ = req.context.organization_id, read_offered_id(req, form.text("key"))
        if ApiKey.objects(organization_id=organization_id, id=id_).first():
            redirect_to(resp, f"{SETTINGS_PATH}?done=made")  # the browser sent the form twice
            return
        key, secret = ApiKey.issue(organization_id, body.name, list(body.scopes), id_=id_)
        render_page(req, resp, "new_key.html", 201, key=key, secret=secret)

    @form()
    def on_post_revoke(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        remove_record(ApiKey.fetch(req.context.organization_id, id))
        redirect_to(resp, f"{SETTINGS_PATH}?done=revoked")


class PolicyForms:
    """/dashboard/match-policy, of the organization or of one fundraiser"""

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        organization_id, of = req.context.organization_id, form.text("fundraiser")
        fundraiser_id = Fundraiser.fetch(organization_id, of).id if of else None
        if form.text("remove"):
            PolicyVersion.remove(organization_id, fundraiser_id)
            redirect_to(resp, f"{SETTINGS_PATH}?done=default")
            return
        days = form.number("days")
        body = _valid(
            PolicyIn,
            window_seconds=round(days * DAY_SECONDS) if isinstance(days, float) else days,
            prefer=form.list_values("prefer"),
            touch=form.text("touch"),
            other_fundraiser=form.text("other_fundraiser"),
        )
        PolicyVersion.set(organization_id, fundraiser_id, read_policy(body))
        redirect_to(resp, f"{SETTINGS_PATH}?done=policy")


class LocaleForm:
    """/dashboard/locale"""

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        req.context.organization.amend({"locale": form.text("locale")})
        redirect_to(resp, f"{SETTINGS_PATH}?done=locale")


class PrivacyForm:
    """/dashboard/privacy"""

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        hides = bool(form.text("hides_personal_data"))
        req.context.organization.amend({"hides_personal_data": hides})
        redirect_to(resp, f"{SETTINGS_PATH}?done=privacy")


class EmailDomainsForm:
    """/dashboard/email-domains"""

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        body = _valid(OrganizationPatch, email_domains=form.text("domains").split())
        req.context.organization.amend({"email_domains": body.email_domains})
        redirect_to(resp, f"{SETTINGS_PATH}?done=domains")


def _policies(organization_id: ObjectId) -> list[tuple[Fundraiser | None, MatchPolicy]]:
    """Return the organization's policy, then those of fundraisers with their own."""
    own = PolicyVersion.list_fundraisers_with_policy(organization_id)
    found = {one.id: one for one in Fundraiser.live(organization_id, id__in=own)}
    return [
        (found.get(id_) if id_ else None, find_current_policy(organization_id, id_))
        for id_ in [None, *found]
    ]


def _valid(model: Any, **values: Any) -> Any:
    """Return the values as the API's model.

    Raises:
        InvalidRequest: the API would not accept them.
    """
    return validate_value(model, values)
