"""Settings for admins: language, API keys, webhook keys, match rules and staff."""

from typing import Any

import falcon
from bson import ObjectId

from config.settings import settings
from documents.access.api_key import ApiKey
from documents.access.staff import Staff
from documents.fundraiser import Fundraiser
from documents.matching.policy import TOUCHES, MatchPolicy
from documents.matching.policy_version import PolicyVersion
from documents.removal import remove
from documents.storage.sealed import Unsealable
from documents.webhook_key import WebhookKey
from service.api.parsing import malformed
from service.api.resources.api_keys import ApiKeyIn
from service.api.resources.match_policies import DAY, PolicyIn, current_policy, read_policy
from service.api.resources.webhook_keys import SecretIn, SendGridKeyIn
from service.api.validation import validate
from service.dashboard import cookies
from service.dashboard.forms import Form, chosen
from service.dashboard.page import form, go_to, page
from service.dashboard.presentation import wording
from service.dashboard.presentation.language import marked
from service.dashboard.presentation.locale_names import locale_names
from service.dashboard.queries import PageQuery
from service.dashboard.render import render

PROVIDERS = {"sendgrid": marked("SendGrid"), **wording.PROVIDERS}
DONE = {
    "made": marked("This key exists already. If you lost it, revoke it and create another one."),
    "revoked": marked("Key revoked."),
    "set": marked("Key set."),
    "removed": marked("Key removed."),
    "policy": marked("Rules saved. They apply to gifts from now on."),
    "default": marked("Rules removed. The more general rules apply from now on."),
    "locale": marked("Language and formats saved."),
}
FOREIGN_FORM = marked("This form belongs to another session. Load its page again, then send it.")
NO_MASTER_KEY = marked(
    "Matchback cannot store keys because its master key is missing. "
    "Ask your Matchback operator to set it."
)
KEYS_SHOWN = 100
HERE = "/dashboard/settings"


class SettingsQuery(PageQuery):
    done: str = ""


class Settings:
    """/dashboard/settings"""

    @page(role="admin", query=SettingsQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: SettingsQuery) -> None:
        organization_id = req.context.organization_id
        keys = ApiKey.live(organization_id).order_by("-id").limit(KEYS_SHOWN)
        render(
            req,
            resp,
            "settings.html",
            url=settings().url,
            keys=list(keys),
            offered=_offer(req),
            webhooks={name: WebhookKey.of(organization_id, name) for name in PROVIDERS},
            providers=PROVIDERS,
            policies=_policies(organization_id),
            touches=TOUCHES,
            locales=locale_names(req.context.organization.locale),
            people=list(Staff.live(organization_id).order_by("id")),
            done=DONE.get(query.done, ""),
        )


class ApiKeyForms:
    """/dashboard/api-keys, and /dashboard/api-keys/{id}/revoke"""

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        body = _valid(ApiKeyIn, name=form.text("name"), scopes=form.every("scopes"))
        organization_id, id_ = req.context.organization_id, _offered(req, form.text("key"))
        if ApiKey.objects(organization_id=organization_id, id=id_).first():
            go_to(resp, f"{HERE}?done=made")  # the browser sent the form twice
            return
        key, secret = ApiKey.issue(organization_id, body.name, list(body.scopes), id_=id_)
        render(req, resp, "new_key.html", 201, key=key, secret=secret)

    @form()
    def on_post_revoke(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        remove(ApiKey.fetch(req.context.organization_id, id))
        go_to(resp, f"{HERE}?done=revoked")


class WebhookKeyForms:
    """/dashboard/webhook-keys"""

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        organization_id = req.context.organization_id
        provider = chosen(form, "provider", PROVIDERS)
        if form.text("remove"):
            if keys := WebhookKey.of(organization_id, provider):
                keys.delete()
            go_to(resp, f"{HERE}?done=removed")
            return
        if provider == "sendgrid":
            key = _valid(SendGridKeyIn, public_key=form.text("key")).public_key
        else:
            key = _valid(SecretIn, secret=form.text("key")).secret
        try:
            WebhookKey.put(organization_id, provider, key)
        except Unsealable:
            raise falcon.HTTPServiceUnavailable(description=NO_MASTER_KEY) from None
        go_to(resp, f"{HERE}?done=set")


class PolicyForms:
    """/dashboard/match-policy, of the organization or of one fundraiser"""

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        organization_id, of = req.context.organization_id, form.text("fundraiser")
        fundraiser_id = Fundraiser.fetch(organization_id, of).id if of else None
        if form.text("remove"):
            PolicyVersion.remove(organization_id, fundraiser_id)
            go_to(resp, f"{HERE}?done=default")
            return
        days = form.number("days")
        body = _valid(
            PolicyIn,
            window_seconds=round(days * DAY) if isinstance(days, float) else days,
            prefer=form.every("prefer"),
            touch=form.text("touch"),
            other_fundraiser=form.text("other_fundraiser"),
        )
        PolicyVersion.set(organization_id, fundraiser_id, read_policy(body))
        go_to(resp, f"{HERE}?done=policy")


class LocaleForm:
    """/dashboard/locale"""

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        req.context.organization.amend({"locale": form.text("locale")})
        go_to(resp, f"{HERE}?done=locale")


def _offer(req: falcon.Request) -> str:
    """Return a signed ID for a new key, so that a form sent twice creates one key."""
    id_ = str(ObjectId())
    secret = cookies.secret_of(req, cookies.SESSION) or ""
    return f"{id_}.{cookies.form_token(secret, id_)}"


def _offered(req: falcon.Request, text: str) -> ObjectId:
    id_, _, token = text.partition(".")
    if not cookies.is_form_token(cookies.secret_of(req, cookies.SESSION), token, id_):
        raise malformed(FOREIGN_FORM)
    return ObjectId(id_)


def _policies(organization_id: ObjectId) -> list[tuple[Fundraiser | None, MatchPolicy]]:
    """Return the organization's policy, then those of fundraisers with their own."""
    own = PolicyVersion.fundraisers_with_own(organization_id)
    found = {one.id: one for one in Fundraiser.live(organization_id, id__in=own)}
    return [
        (found.get(id_) if id_ else None, current_policy(organization_id, id_))
        for id_ in [None, *found]
    ]


def _valid(model: Any, **values: Any) -> Any:
    """Return the values as the API's model.

    Raises:
        Invalid: the API would not accept them.
    """
    return validate(model, values)
