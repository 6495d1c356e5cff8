"""Webhooks: one resource per provider of the registry.

Requests need no API key, because the signature over the raw body identifies the organization.
"""

import falcon

from documents.providers.registry import PROVIDERS, Provider
from documents.storage.tenancy import acting_for
from documents.webhook_delivery import WebhookDelivery
from documents.webhook_key import WebhookKey
from service.api.fields import Answer
from service.api.operation import answer, operation
from service.api.parsing import read_bytes
from service.middleware.client_address import client_address
from service.middleware.rate_limit import take_as_stranger

BODY_LIMIT = 2 * 1024 * 1024
PROBLEMS = (401, 413, 429, 503)


class Accepted(Answer):
    """The number of stored events. Workers count them within moments."""

    accepted: int


def _resource(provider: Provider) -> object:
    """Return the resource at /v1/webhooks/{provider}/{organization_id}."""

    class Webhook:
        @operation(
            f"Receive {provider.sends}",
            answers={202: Accepted},
            problems=PROBLEMS,
            raw=falcon.MEDIA_JSON,
            signed_by=provider.name,
            headers=dict(provider.signed_headers),
        )
        def on_post(self, req: falcon.Request, resp: falcon.Response, organization_id: str) -> None:
            _receive(req, resp, organization_id, provider.name)

    Webhook.__name__ = provider.tag  # the API reference shows this name
    return Webhook()


def _receive(
    req: falcon.Request, resp: falcon.Response, organization_id: str, provider: str
) -> None:
    body = read_bytes(req, BODY_LIMIT)
    signer = WebhookKey.who_signed(organization_id, provider, req.headers, body)
    if signer is None:
        take_as_stranger(client_address(req))
        # A missing organization, or one without keys, must look like a bad signature.
        raise falcon.HTTPUnauthorized(
            description="The signature is missing or invalid. Check the webhook key."
        )
    with acting_for(signer.organization_id):
        accepted = WebhookDelivery.receive(
            signer.organization_id, provider, body, by_test_key=signer.by_test_key
        )
    answer(resp, Accepted, {"accepted": accepted}, 202)


BY_PROVIDER = {name: _resource(provider) for name, provider in PROVIDERS.items()}
