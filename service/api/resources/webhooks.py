"""Webhooks from providers. The signature over the raw body authenticates them, not an API key."""

import falcon

from documents.providers import sendgrid
from documents.providers.signatures import STRIPE_HEADER
from documents.storage.tenancy import acting_for
from documents.webhook_delivery import Delivery
from documents.webhook_key import WebhookKey
from service.api.fields import Answer
from service.api.operation import answer, operation
from service.api.parsing import read_bytes
from service.middleware.client_address import client_address
from service.middleware.rate_limit import take_as_stranger

BODY_LIMIT = 2 * 1024 * 1024
PROBLEMS = (401, 413, 429, 503)


class Accepted(Answer):
    """How many events are stored, to be counted in a moment."""

    accepted: int


class SendGridWebhook:
    """/v1/webhooks/sendgrid/{organization_id}"""

    @operation(
        "Receive SendGrid's events",
        answers={202: Accepted},
        problems=PROBLEMS,
        raw=falcon.MEDIA_JSON,
        signed_by="sendgrid",
        headers={
            sendgrid.SIGNATURE_HEADER: "ECDSA over the timestamp and the raw body, base64 of DER",
            sendgrid.TIMESTAMP_HEADER: "Part of what is signed",
        },
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, organization_id: str) -> None:
        _receive(req, resp, organization_id, "sendgrid")


class StripeWebhook:
    """/v1/webhooks/stripe/{organization_id}"""

    @operation(
        "Receive one of Stripe's events",
        answers={202: Accepted},
        problems=PROBLEMS,
        raw=falcon.MEDIA_JSON,
        signed_by="stripe",
        headers={STRIPE_HEADER: "t=… and v1=…: HMAC-SHA256 of the time and the raw body"},
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, organization_id: str) -> None:
        _receive(req, resp, organization_id, "stripe")


class PaymentWebhook:
    """/v1/webhooks/payments/{organization_id}"""

    @operation(
        "Receive the state of one gift from any payment processor",
        answers={202: Accepted},
        problems=PROBLEMS,
        raw=falcon.MEDIA_JSON,
        signed_by="payments",
        headers={
            "Webhook-Id": "Of this message; part of what is signed",
            "Webhook-Timestamp": "Unix seconds, at most 5 minutes off; part of what is signed",
            "Webhook-Signature": "v1, and HMAC-SHA256 in base64, as Standard Webhooks has it",
        },
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, organization_id: str) -> None:
        _receive(req, resp, organization_id, "payments")


def _receive(
    req: falcon.Request, resp: falcon.Response, organization_id: str, provider: str
) -> None:
    body = read_bytes(req, BODY_LIMIT)
    signer = WebhookKey.who_signed(organization_id, provider, req.headers, body)
    if signer is None:
        take_as_stranger(client_address(req))
        # An organization without keys, or none at all, is no different from a bad signature.
        raise falcon.HTTPUnauthorized(description="The signature is missing or wrong.")
    with acting_for(signer.organization_id):
        accepted = Delivery.receive(
            signer.organization_id, provider, body, by_test_key=signer.by_test_key
        )
    answer(resp, Accepted, {"accepted": accepted}, 202)
