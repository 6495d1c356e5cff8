"""The signatures of all webhook providers, and the form of their keys. Pure."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from standardwebhooks import Webhook, WebhookVerificationError

from documents.errors import Unusable
from documents.providers import sendgrid

STRIPE_HEADER = "Stripe-Signature"
STRIPE_TOLERANCE_SECONDS = 300  # source: Stripe's documentation of webhooks
STANDARD_HEADERS = ("Webhook-Id", "Webhook-Timestamp", "Webhook-Signature")
PREFIX = "whsec_"
SECRET = re.compile(r"[\x21-\x7e]{8,255}")
SECRET_BYTES = range(24, 65)  # source: the Standard Webhooks specification


@dataclass(frozen=True)
class Scheme:
    """One provider's way.

    field: what the API calls its key.
    check: raises Unusable, with what is wrong, for what is no key of it.
    is_signed: whether a key signed these headers and this body.
    is_secret: whether the key is to be kept from others, so that it is stored sealed.
    """

    field: str
    check: Callable[[str], object]
    is_signed: Callable[[str, Mapping[str, str], bytes], bool]
    is_secret: bool = True


def _by_sendgrid(key: str, headers: Mapping[str, str], body: bytes) -> bool:
    signature = headers.get(sendgrid.SIGNATURE_HEADER.upper(), "")
    timestamp = headers.get(sendgrid.TIMESTAMP_HEADER.upper(), "")
    return sendgrid.is_signed(sendgrid.load_public_key(key), signature, timestamp, body)


def _by_stripe(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    # Where no Stripe is used, its package's 30 MB are not loaded.
    from stripe import SignatureVerificationError, WebhookSignature

    header = headers.get(STRIPE_HEADER.upper())
    try:
        WebhookSignature.verify_header(body, header, secret, STRIPE_TOLERANCE_SECONDS)
    except (SignatureVerificationError, ValueError, TypeError):
        return False  # the latter two: a body that is no text, a signature that is no ASCII
    return True


def _by_standard(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    named = {name: headers.get(name.upper(), "") for name in STANDARD_HEADERS}
    try:
        Webhook(secret).verify(body, named, json_parse=False)
    except (WebhookVerificationError, ValueError, TypeError):
        return False
    return True


def _stripe_secret(text: str) -> None:
    if not SECRET.fullmatch(text):
        raise Unusable("no signing secret of Stripe's, which begin with whsec_")


def _standard_secret(text: str) -> None:
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise Unusable("not base64, after whsec_") from None
    if len(key) not in SECRET_BYTES:
        raise Unusable("not of 24 to 64 bytes, after whsec_ and in base64")


SCHEMES = {
    "sendgrid": Scheme("public_key", sendgrid.load_public_key, _by_sendgrid, False),
    "stripe": Scheme("secret", _stripe_secret, _by_stripe),
    "payments": Scheme("secret", _standard_secret, _by_standard),
}
