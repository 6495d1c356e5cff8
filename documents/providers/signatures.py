"""Signatures of all webhook providers, and the form of their keys. Pure."""

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

    Attributes:
        field: name of the key in the API.
        check: function that raises Unusable, with the reason, if a text is not a key.
        is_signed: function that returns whether a key signed the headers and the body.
        is_secret: whether the key must stay secret, so that it is stored sealed.
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
    """Return whether the Stripe secret signed the body at most 5 minutes ago."""
    # Load the package on first use, because it needs 30 MB and many organizations do not use
    # Stripe.
    from stripe import SignatureVerificationError, WebhookSignature

    header = headers.get(STRIPE_HEADER.upper())
    try:
        WebhookSignature.verify_header(body, header, secret, STRIPE_TOLERANCE_SECONDS)
    except (SignatureVerificationError, ValueError, TypeError):
        # ValueError and TypeError: the body is not UTF-8, or the signature is not ASCII
        return False
    return True


def is_signed_by_standard(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether the Standard Webhooks secret signed the body at most 5 minutes ago."""
    named = {name: headers.get(name.upper(), "") for name in STANDARD_HEADERS}
    try:
        Webhook(secret).verify(body, named, json_parse=False)
    except (WebhookVerificationError, ValueError, TypeError):
        return False
    return True


def check_stripe_secret(text: str) -> None:
    """Check that the text is a Stripe signing secret.

    Raises:
        Unusable: the text is not a signing secret.
    """
    if not STRIPE_SECRET_PATTERN.fullmatch(text):
        raise Unusable("Must be a Stripe signing secret, such as whsec_…")


def check_standard_secret(text: str) -> None:
    """Check that the text is a Standard Webhooks secret.

    Raises:
        Unusable: the text is not such a secret.
    """
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise Unusable("Must be base64 after the prefix whsec_") from None
    if len(key) not in STANDARD_SECRET_BYTES:
        raise Unusable("Must have 24 to 64 bytes, in base64 after the prefix whsec_")
