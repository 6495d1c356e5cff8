"""The proofs with which providers send webhooks, for tests of every provider of the registry."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qsl

import stripe
from standardwebhooks import Webhook

SECRET = "whsec_" + base64.b64encode(b"a secret of more than 24 bytes").decode()
TOPIC = "arn:aws:sns:us-east-1:123456789012:events"

Headers = Mapping[str, str]


class ProvenRequest(NamedTuple):
    """A request's body and headers."""

    body: bytes
    headers: Headers


def list_secrets() -> dict[str, str]:
    """Return a key of each provider that has secrets."""
    return {name: KEYS.get(name, SECRET) for name in PROOFS}


def prove_request(provider: str, body: bytes, url: str = "") -> ProvenRequest:
    """Return the body as the provider sends it, with its proof.

    Args:
        url: the public URL of the webhook.
    """
    return PROOFS[provider](body, url)


def _sign_standard(body: bytes, url: str, prefix: str = "webhook") -> ProvenRequest:
    at = datetime.now(UTC)
    code = Webhook(SECRET).sign("msg_1", at, body.decode())
    headers = {"id": "msg_1", "timestamp": str(int(at.timestamp())), "signature": code}
    return ProvenRequest(body, {f"{prefix}-{name}": text for name, text in headers.items()})


def _sign_svix(body: bytes, url: str) -> ProvenRequest:
    return _sign_standard(body, url, "svix")


def _sign_stripe(body: bytes, url: str) -> ProvenRequest:
    at = int(time.time())
    code = stripe.WebhookSignature._compute_signature(f"{at}.{body.decode()}", SECRET)
    return ProvenRequest(body, {"Stripe-Signature": f"t={at},v1={code}"})


def _sign_mailgun(body: bytes, url: str) -> ProvenRequest:
    timestamp, token = str(int(time.time())), "a-token"
    code = hmac.new(SECRET.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest()
    signature = {"timestamp": timestamp, "token": token, "signature": code}
    item = json.loads(body) | {"signature": signature}
    return ProvenRequest(json.dumps(item).encode(), {})


def _send_credentials(body: bytes, url: str) -> ProvenRequest:
    pair = base64.b64encode(f"matchback:{SECRET}".encode()).decode()
    return ProvenRequest(body, {"Authorization": f"Basic {pair}"})


def _send_raw(body: bytes, url: str) -> ProvenRequest:
    raw = {"x-amz-sns-rawdelivery": "true", "x-amz-sns-topic-arn": TOPIC}
    return ProvenRequest(body, {**raw, **_send_credentials(body, url).headers})


def _sign_form(body: bytes, url: str) -> ProvenRequest:
    text = url + "".join(map("".join, sorted(parse_qsl(body.decode()))))
    code = hmac.new(SECRET.encode(), text.encode(), hashlib.sha1).digest()
    return ProvenRequest(body, {"X-Mandrill-Signature": base64.b64encode(code).decode()})


PROOFS: Mapping[str, Callable[[bytes, str], ProvenRequest]] = {
    "ses": _send_raw,
    "mailgun": _sign_mailgun,
    "postmark": _send_credentials,
    "resend": _sign_svix,
    "brevo": _send_credentials,
    "sparkpost": _send_credentials,
    "mandrill": _sign_form,
    "events": _sign_standard,
    "stripe": _sign_stripe,
    "payments": _sign_standard,
}
KEYS = {"ses": f"{TOPIC}#{SECRET}"}
