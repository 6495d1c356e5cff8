"""Signatures of Svix, which sends the webhooks of several providers. Pure.

Svix signs as Standard Webhooks do, with other header names. It signs each retry again.
Source: Svix's documentation ("Verifying Payloads").
"""

import base64
import binascii

from documents.errors import Unusable
from documents.providers.provider import WebhookRequest
from documents.providers.signatures import (
    SECRET_PREFIX,
    STANDARD_HEADER_TEXTS,
    is_signed_by_standard,
)

SECRET_BYTES = range(16, 129)  # Svix makes 24 bytes
SVIX_HEADERS = {
    name.lower().replace("webhook", "svix"): text for name, text in STANDARD_HEADER_TEXTS.items()
}


def check_secret(text: str) -> None:
    """Check that the text is a signing secret.

    Raises:
        Unusable: the text is not such a secret.
    """
    encoded = text.removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Unusable("Must be a signing secret: base64 after whsec_") from None
    if len(key) not in SECRET_BYTES:
        raise Unusable("Must be a signing secret: 16 to 128 bytes in base64 after whsec_")


def is_signed(secret: str, request: WebhookRequest) -> bool:
    """Return whether the secret signed the raw body at most 5 minutes ago."""
    sent = {name: request.headers.get(name.upper(), "") for name in SVIX_HEADERS}
    headers = {name.upper().replace("SVIX", "WEBHOOK"): value for name, value in sent.items()}
    return is_signed_by_standard(secret, request._replace(headers=headers))
