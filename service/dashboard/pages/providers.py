"""One page for each provider: its webhook URL, its keys and its last requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import falcon
from bson import ObjectId

from config.settings import get_settings
from documents.errors import NotFound
from documents.providers.provider import Provider
from documents.providers.registry import PROVIDERS
from documents.reports.recent_requests import find_last_requests, list_recent_requests
from documents.storage.sealed import UnsealableSecret
from documents.values.validation import validate_value
from documents.webhook_delivery import WebhookDelivery
from documents.webhook_key import Signer, WebhookKey
from service.api.resources.webhook_keys import SecretIn
from service.dashboard.forms import Form, read_choice
from service.dashboard.page import form, page, redirect_to
from service.dashboard.presentation.language import marked
from service.dashboard.queries import PageQuery
from service.dashboard.render import render_page

PROVIDERS_PATH = "/dashboard/settings/providers"
NO_MASTER_KEY = marked(
    "Matchback cannot store keys because its master key is missing. "
    "Ask your Matchback operator to set it."
)
PROVIDER_MESSAGES = {
    "set": marked("Key set."),
    "removed": marked("Key removed."),
    "tested": marked("Matchback received the test event. It counts nowhere."),
    "untested": marked("Matchback rejected the test event. Set the key again."),
}


class ProviderQuery(PageQuery):
    done: str = ""


class ProviderPages:
    """/dashboard/settings/providers/{name}, and its /test"""

    @page(query=ProviderQuery)
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, query: ProviderQuery, name: str
    ) -> None:
        provider, organization_id = find_provider(name), req.context.organization_id
        held = WebhookKey.of(organization_id, name)
        render_page(
            req,
            resp,
            "provider.html",
            provider=provider,
            url=f"{get_settings().url}/v1/webhooks/{name}/{organization_id}",
            held=held,
            keys=list_keys(held),
            recent=list_recent_requests(organization_id, name),
            done=PROVIDER_MESSAGES.get(query.done, ""),
        )

    @form()
    def on_post_test(
        self, req: falcon.Request, resp: falcon.Response, name: str, form: Form
    ) -> None:
        is_received = send_test_event(req.context.organization_id, find_provider(name))
        redirect_to(resp, f"{PROVIDERS_PATH}/{name}?done={'tested' if is_received else 'untested'}")


class WebhookKeyForms:
    """/dashboard/webhook-keys"""

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, form: Form) -> None:
        organization_id = req.context.organization_id
        provider = read_choice(form, "provider", PROVIDERS)
        if form.text("remove"):
            if keys := WebhookKey.of(organization_id, provider):
                keys.delete()
            redirect_to(resp, f"{PROVIDERS_PATH}/{provider}?done=removed")
            return
        key = validate_value(SecretIn, {"secret": form.text("key")}).secret
        with require_master_key():
            WebhookKey.put(organization_id, provider, key)
        redirect_to(resp, f"{PROVIDERS_PATH}/{provider}?done=set")


@contextmanager
def require_master_key() -> Iterator[None]:
    """Answer 503 with instructions if a secret cannot be sealed."""
    try:
        yield
    except UnsealableSecret:
        raise falcon.HTTPServiceUnavailable(description=NO_MASTER_KEY) from None


def find_provider(name: str) -> Provider:
    """Return the provider.

    Raises:
        NotFound: no provider has this name.
    """
    if name not in PROVIDERS:
        raise NotFound
    provider: Provider = PROVIDERS[name]
    return provider


def list_keys(held: WebhookKey | None) -> list[Any] | None:
    """Return the valid keys, newest first; None if the master key of a secret is missing."""
    try:
        return held.all_keys() if held else []
    except UnsealableSecret:
        return None


def list_providers(organization_id: ObjectId) -> list[dict[str, Any]]:
    """Return all providers with their key and last request. The used ones are first."""
    last, held = find_last_requests(organization_id), WebhookKey.list_providers(organization_id)
    rows = [
        {"provider": one, "has_key": name in held, "last": last.get(name)}
        for name, one in PROVIDERS.items()
    ]
    return sorted(rows, key=lambda row: not (row["has_key"] or row["last"]))


def send_test_event(organization_id: ObjectId, provider: Provider) -> bool:
    """Sign and receive a test event, as if the provider sent it. Return whether it was accepted.

    Raises:
        NotFound: only the provider can sign, or the organization has no key.
    """
    held = WebhookKey.of(organization_id, provider.name)
    if held is None or provider.sign_test is None:
        raise NotFound
    request = provider.sign_test(held.public_key)
    signer = WebhookKey.prove(organization_id, provider.name, request)
    if not isinstance(signer, Signer):
        return False
    WebhookDelivery.receive(signer.organization_id, provider.name, request.body)
    return True
