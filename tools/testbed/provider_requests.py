"""Requests as each provider of the registry sends them, for tests that cover all providers."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook
from stripe import WebhookSignature

from config.settings import get_settings
from documents.providers.registry import PROVIDERS
from tools.testbed.cast import ApiAnswer, University, export_public_key, sign_webhook

SIGNING_KEY = ec.generate_private_key(ec.SECP256R1())
STANDARD_SECRET = "whsec_" + base64.b64encode(b"matchback" * 4).decode()
PLAIN_SECRET = "a-secret-of-the-tests-3f9c1d7b"
TOPIC = "arn:aws:sns:us-east-1:123456789012:ses-events"


class SignedRequest(NamedTuple):
    """The headers and the body of a request."""

    headers: dict[str, str]
    body: bytes


def _keep(content: bytes) -> bytes:
    return content


@dataclass(frozen=True)
class Sender:
    """One provider's key, and how it sends requests.

    Attributes:
        prove: function that adds the proof to a body for a URL.
        wrap: function that returns the body of an event's JSON.
    """

    key: str
    prove: Callable[[bytes, str], SignedRequest]
    wrap: Callable[[bytes], bytes] = _keep

    def sign(self, content: bytes, url: str) -> SignedRequest:
        """Return the request that reports this JSON to a URL."""
        return self.prove(self.wrap(content), url)


def _sign_ecdsa(body: bytes, url: str) -> SignedRequest:
    return SignedRequest(sign_webhook(SIGNING_KEY, body), body)


def _sign_stripe(body: bytes, url: str) -> SignedRequest:
    header = WebhookSignature.generate_signature_header(
        body.decode(), STANDARD_SECRET, int(time.time())
    )
    return SignedRequest({"Stripe-Signature": header}, body)


def _sign_standard(prefix: str) -> Callable[[bytes, str], SignedRequest]:
    def sign(body: bytes, url: str) -> SignedRequest:
        at = datetime.now(UTC)
        headers = {
            f"{prefix}-Id": "message-1",
            f"{prefix}-Timestamp": str(int(at.timestamp())),
            f"{prefix}-Signature": Webhook(STANDARD_SECRET).sign("message-1", at, body.decode()),
        }
        return SignedRequest(headers, body)

    return sign


def _sign_mailgun(body: bytes, url: str) -> SignedRequest:
    at, token = str(int(time.time())), "t" * 50
    digest = hmac.new(PLAIN_SECRET.encode(), f"{at}{token}".encode(), hashlib.sha256).hexdigest()
    signature = {"timestamp": at, "token": token, "signature": digest}
    return SignedRequest({}, json.dumps(json.loads(body) | {"signature": signature}).encode())


def _wrap_in_object(content: bytes) -> bytes:
    data = json.loads(content)
    return json.dumps({"event-data": data if isinstance(data, dict) else {}}).encode()


def _sign_form(body: bytes, url: str) -> SignedRequest:
    fields = sorted(parse_qsl(body.decode(), keep_blank_values=True))
    text = url + "".join(map("".join, fields))
    digest = hmac.new(PLAIN_SECRET.encode(), text.encode(), hashlib.sha1)
    return SignedRequest({"X-Mandrill-Signature": base64.b64encode(digest.digest()).decode()}, body)


def _wrap_in_form(content: bytes) -> bytes:
    return urlencode({"mandrill_events": content.decode()}).encode()


def _send_basic(body: bytes, url: str) -> SignedRequest:
    sent = base64.b64encode(f"matchback:{PLAIN_SECRET}".encode()).decode()
    return SignedRequest({"Authorization": f"Basic {sent}"}, body)


def _send_raw_notification(body: bytes, url: str) -> SignedRequest:
    headers = {"X-Amz-Sns-Rawdelivery": "true", "X-Amz-Sns-Topic-Arn": TOPIC}
    return SignedRequest(headers | _send_basic(body, url).headers, body)


SENDERS = {
    "sendgrid": Sender(export_public_key(SIGNING_KEY), _sign_ecdsa),
    "ses": Sender(f"{TOPIC}#{PLAIN_SECRET}", _send_raw_notification),
    "mailgun": Sender(PLAIN_SECRET, _sign_mailgun, _wrap_in_object),
    "postmark": Sender(PLAIN_SECRET, _send_basic),
    "resend": Sender(STANDARD_SECRET, _sign_standard("Svix")),
    "brevo": Sender(PLAIN_SECRET, _send_basic),
    "sparkpost": Sender(f"matchback:{PLAIN_SECRET}", _send_basic),
    "mandrill": Sender(PLAIN_SECRET, _sign_form, _wrap_in_form),
    "events": Sender(STANDARD_SECRET, _sign_standard("Webhook")),
    "stripe": Sender(STANDARD_SECRET, _sign_stripe),
    "payments": Sender(STANDARD_SECRET, _sign_standard("Webhook")),
}


def set_provider_key(place: University, provider: str, key: str | None = None) -> ApiAnswer:
    """Set the provider's key through the API, as its answer describes."""
    field = "public_key" if not PROVIDERS[provider].scheme.is_secret else "secret"
    sent = {field: SENDERS[provider].key if key is None else key}
    return place.call("PUT", f"/v1/webhook-keys/{provider}", sent)


def sign_post(place: University, provider: str, body: bytes, path: str = "") -> SignedRequest:
    """Return a request that the university's key proves.

    Args:
        path: path and query that the provider calls; the documented path by default.
    """
    path = path or f"/v1/webhooks/{provider}/{place.id}"
    return SENDERS[provider].sign(body, f"{get_settings().url}{path}")


def post_signed(place: University, provider: str, body: bytes, path: str = "") -> ApiAnswer:
    """Post as the provider does."""
    path = path or f"/v1/webhooks/{provider}/{place.id}"
    headers, body = sign_post(place, provider, body, path)
    return place.api.call("POST", path, body=body, headers=headers)
