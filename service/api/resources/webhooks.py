"""Webhooks: one resource per provider of the registry, and one per shared account.

Requests need no API key, because the provider proves that they are authentic.
"""

from collections.abc import Callable
from functools import partial
from typing import NoReturn
from urllib.parse import quote

import falcon

from config.settings import get_settings
from documents.errors import ProviderUnavailable
from documents.providers.provider import Provider, WebhookRequest
from documents.providers.registry import EMAIL_PROVIDERS, PROVIDERS
from documents.shared_accounts.shared_post import SharedPost
from documents.storage.tenancy import act_for
from documents.webhook_delivery import WebhookDelivery
from documents.webhook_key import Signer, WebhookKey
from documents.webhook_rejections import RejectionReason
from service.api.fields import ResponseModel
from service.api.operation import answer_model, operation
from service.api.parsing import read_bytes
from service.middleware.client_address import find_client_address
from service.middleware.content_coding import decode_body
from service.middleware.rate_limit import count_anonymous_request

PROVIDER_RETRY_AFTER_SECONDS = 20
WEBHOOK_PROBLEM_STATUSES = (401, 413, 415, 429, 503)


class Accepted(ResponseModel):
    """The number of stored events. Workers count them within moments."""

    accepted: int


class UrlCheck(ResponseModel):
    """The provider of the URL. The response is the same for each organization, even a missing one.

    Mandrill sends HEAD before it accepts a URL, and Mailchimp sends GET.
    """

    provider: str


def _resource(provider: Provider) -> object:
    """Return the resource at /v1/webhooks/{provider}/{organization_id}."""

    class Webhook:
        @operation(
            f"Receive {provider.sends}",
            answers={202: Accepted},
            problems=WEBHOOK_PROBLEM_STATUSES,
            raw=provider.media_type,
            signed_by=provider.name,
            headers=dict(provider.headers),
        )
        def on_post(self, req: falcon.Request, resp: falcon.Response, organization_id: str) -> None:
            _receive(req, resp, organization_id, provider.name)

        @operation(
            "Check that the webhook URL exists",
            answers={200: UrlCheck},
            public=True,
            ignores_query=True,
        )
        def on_get(self, req: falcon.Request, resp: falcon.Response, organization_id: str) -> None:
            answer_model(resp, UrlCheck, {"provider": provider.name})

    Webhook.__name__ = provider.tag  # the API reference shows this name
    return Webhook()


def _shared_resource(provider: Provider) -> object:
    """Return the resource at /v1/webhooks/{provider}, for an account of many organizations."""

    class SharedWebhook:
        @operation(
            f"Receive {provider.sends} of many organizations",
            name=f"create_shared_webhook_{provider.name}",
            answers={202: Accepted},
            problems=WEBHOOK_PROBLEM_STATUSES,
            raw=provider.media_type,
            signed_by=provider.name,
            headers=dict(provider.headers),
        )
        def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
            _receive_shared(req, resp, provider.name)

        @operation(
            "Check that the shared webhook URL exists",
            name=f"get_shared_webhook_{provider.name}",
            answers={200: UrlCheck},
            public=True,
            ignores_query=True,
        )
        def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
            answer_model(resp, UrlCheck, {"provider": provider.name})

    SharedWebhook.__name__ = provider.tag
    return SharedWebhook()


def _receive(
    req: falcon.Request, resp: falcon.Response, organization_id: str, provider: str
) -> None:
    known, request = PROVIDERS[provider], _read_request(req, PROVIDERS[provider])
    if known.is_url_check(request):
        _answer_url_check(req, resp)
        return
    signer = _authenticate(
        req, known, request, partial(WebhookKey.prove, organization_id, provider)
    )
    with act_for(signer.organization_id):
        accepted = WebhookDelivery.receive(
            signer.organization_id, provider, request.body, by_test_key=signer.by_test_key
        )
    answer_model(resp, Accepted, {"accepted": accepted}, 202)


def _receive_shared(req: falcon.Request, resp: falcon.Response, provider: str) -> None:
    known, request = PROVIDERS[provider], _read_request(req, PROVIDERS[provider])
    if known.is_url_check(request):
        _answer_url_check(req, resp)
        return
    signer = _authenticate(req, known, request, partial(WebhookKey.prove_shared, provider))
    accepted = SharedPost.receive(provider, request.body, tokens_only=signer.tokens_only)
    answer_model(resp, Accepted, {"accepted": accepted}, 202)


def _read_request(req: falcon.Request, known: Provider) -> WebhookRequest:
    """Return the request as the provider sent it, without the compression."""
    body = decode_body(req, read_bytes(req, known.max_body_bytes), known.max_body_bytes)
    return WebhookRequest(req.headers, body, _public_url(req))


def _answer_url_check(req: falcon.Request, resp: falcon.Response) -> None:
    """Answer a check of a new URL, which anyone can send."""
    count_anonymous_request(find_client_address(req))
    answer_model(resp, Accepted, {"accepted": 0}, 202)


def _authenticate(
    req: falcon.Request,
    known: Provider,
    request: WebhookRequest,
    prove: Callable[[WebhookRequest], Signer | RejectionReason],
) -> Signer:
    """Return the signer of a request.

    Raises:
        falcon.HTTPUnauthorized: no key proves the request.
        falcon.HTTPServiceUnavailable: a server of the provider cannot be reached now.
    """
    try:
        signer = prove(request)
        if isinstance(signer, Signer) and known.confirm:
            known.confirm(request.body)
    except ProviderUnavailable:
        raise falcon.HTTPServiceUnavailable(
            description=f"{known.label} cannot be reached to check the request. Send it again.",
            retry_after=PROVIDER_RETRY_AFTER_SECONDS,
        ) from None
    if not isinstance(signer, Signer):
        _reject(req, known, request, signer)
    return signer


def _reject(
    req: falcon.Request, provider: Provider, request: WebhookRequest, reason: RejectionReason
) -> NoReturn:
    """Reject a request. Only the organization's staff see the reason."""
    if challenge := provider.find_challenge(request):
        req.context.rejection = None  # the provider expects the challenge, and repeats the request
        raise falcon.HTTPUnauthorized(
            description="Send the credentials of the webhook key.", challenges=[challenge]
        )
    req.context.rejection = reason
    count_anonymous_request(find_client_address(req))
    # A missing organization, or one without keys, must look like a bad signature.
    raise falcon.HTTPUnauthorized(
        description="The request is not authentic. Check the webhook key."
    )


def _public_url(req: falcon.Request) -> str:
    """Return the URL that the provider called. A proxy may change its scheme and its host."""
    query = f"?{req.query_string}" if req.query_string else ""
    return f"{get_settings().url}{quote(req.env['PATH_INFO'])}{query}"


WEBHOOK_RESOURCES = {name: _resource(provider) for name, provider in PROVIDERS.items()}
SHARED_WEBHOOK_RESOURCES = {name: _shared_resource(PROVIDERS[name]) for name in EMAIL_PROVIDERS}
