"""Webhooks: what providers report. No key: their signature over the raw body says who they are."""

import falcon

from documents import sendgrid
from documents.delivery import Delivery
from documents.webhook_key import WebhookKey
from service.operation import answer, operation
from service.reading import read_bytes
from service.types import Answer

BODY_LIMIT = 2 * 1024 * 1024


class Accepted(Answer):
    """How many events are stored, to be counted in a moment."""

    accepted: int


class SendGridWebhook:
    """/v1/webhooks/sendgrid/{organization_id}"""

    @operation(
        "Receive SendGrid's events",
        answers={202: Accepted},
        problems=(401, 413, 503),
        raw=falcon.MEDIA_JSON,
        headers={
            sendgrid.SIGNATURE_HEADER: "ECDSA over the timestamp and the raw body, base64 of DER",
            sendgrid.TIMESTAMP_HEADER: "Part of what is signed",
        },
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, organization_id: str) -> None:
        body = read_bytes(req, BODY_LIMIT)
        keys = WebhookKey.of(organization_id, "sendgrid")
        signature = req.get_header(sendgrid.SIGNATURE_HEADER) or ""
        timestamp = req.get_header(sendgrid.TIMESTAMP_HEADER) or ""
        if keys is None or not keys.verifies(signature, timestamp, body):
            # An organization without keys, or none at all, is no different from a bad signature.
            raise falcon.HTTPUnauthorized(description="The signature is missing or wrong.")
        delivery = Delivery.receive(keys.organization_id, "sendgrid", body)
        answer(resp, Accepted, {"accepted": delivery.items}, 202)
