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
SECRET_PREFIX = "whsec_"  # noqa: S105
STRIPE_SECRET_PATTERN = re.compile(r"[\x21-\x7e]{8,255}")
STANDARD_SECRET_BYTES = range(24, 65)  # source: the Standard Webhooks specification


@dataclass(frozen=True)
class SignatureScheme:
    """The keys and signatures of one provider.

    field: the key's name in the API.
    check: raises Unusable, with the reason, for a text that is not a key.
    is_signed: returns whether a key signed these headers and this body.
    is_secret: whether the key is stored sealed, because it must stay secret.
    """

    field: str
    check: Callable[[str], object]
    is_signed: Callable[[str, Mapping[str, str], bytes], bool]
    is_secret: bool = True


def is_signed_by_sendgrid(key: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether SendGrid's key signed the body."""
    signature = headers.get(sendgrid.SIGNATURE_HEADER.upper(), "")
    timestamp = headers.get(sendgrid.TIMESTAMP_HEADER.upper(), "")
    return sendgrid.is_signed(sendgrid.load_public_key(key), signature, timestamp, body)


def is_signed_by_stripe(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether Stripe's secret signed the body, at most 5 minutes ago."""
    # Where no Stripe is used, its package's 30 MB are not loaded.
    from stripe import SignatureVerificationError, WebhookSignature

    header = headers.get(STRIPE_HEADER.upper())
    try:
        WebhookSignature.verify_header(body, header, secret, STRIPE_TOLERANCE_SECONDS)
    except (SignatureVerificationError, ValueError, TypeError):
        return False  # the latter two: a body that is no text, a signature that is no ASCII
    return True


def is_signed_by_standard(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether a secret of Standard Webhooks signed the body, at most 5 minutes ago."""
    named = {name: headers.get(name.upper(), "") for name in STANDARD_HEADERS}
    try:
        Webhook(secret).verify(body, named, json_parse=False)
    except (WebhookVerificationError, ValueError, TypeError):
        return False
    return True


def check_stripe_secret(text: str) -> None:
    """Reject what is not a signing secret of Stripe's.

    Raises:
        Unusable: it is not.
    """
    if not STRIPE_SECRET_PATTERN.fullmatch(text):
        raise Unusable("no signing secret of Stripe's, which begin with whsec_")


def check_standard_secret(text: str) -> None:
    """Reject what is not a secret of Standard Webhooks.

    Raises:
        Unusable: it is not.
    """
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise Unusable("not base64, after whsec_") from None
    if len(key) not in STANDARD_SECRET_BYTES:
        raise Unusable("not of 24 to 64 bytes, after whsec_ and in base64")
