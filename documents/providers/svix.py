"""Signatures of Svix, which sends the webhooks of several providers. Pure.

Svix signs as Standard Webhooks do, with other header names. It signs each retry again.
Source: Svix's documentation ("Verifying Payloads").
"""

import base64
import binascii

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

from documents.errors import Unusable
from documents.providers.provider import WebhookRequest

SECRET_PREFIX = "whsec_"  # noqa: S105
SECRET_BYTES = range(16, 129)  # Svix makes 24 bytes
SVIX_HEADERS = {
    "svix-signature": "`v1,` and an HMAC-SHA256 in base64, as in Standard Webhooks.",
    "svix-id": "ID of the message; part of the signed text.",
    "svix-timestamp": "Unix seconds, within 5 minutes; part of the signed text.",
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
    headers = {name.replace("svix", "webhook"): value for name, value in sent.items()}
    try:
        Webhook(secret).verify(request.body, headers, json_parse=False)
    except (WebhookVerificationError, EmptyWebhookSecretError, ValueError, TypeError):
        # ValueError and TypeError: a header is not ASCII or not base64, or the body is not UTF-8
        return False
    return True
