"""Signatures that several providers use: Standard Webhooks. Pure."""

import base64
import binascii
from datetime import UTC, datetime

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

from documents.errors import Unusable
from documents.providers.provider import WebhookRequest

STANDARD_HEADER_TEXTS = {
    "Webhook-Signature": "`v1,` and an HMAC-SHA256 in base64, as in Standard Webhooks.",
    "Webhook-Id": "ID of the message; part of the signed text.",
    "Webhook-Timestamp": "Unix seconds, within 5 minutes; part of the signed text.",
}
SECRET_PREFIX = "whsec_"  # noqa: S105
STANDARD_SECRET_BYTES = range(24, 65)  # source: the Standard Webhooks specification


def is_signed_by_standard(secret: str, request: WebhookRequest) -> bool:
    """Return whether the Standard Webhooks secret signed the request at most 5 minutes ago."""
    named = {name: request.headers.get(name.upper(), "") for name in STANDARD_HEADER_TEXTS}
    try:
        Webhook(secret).verify(request.body, named, json_parse=False)
    except (WebhookVerificationError, EmptyWebhookSecretError, ValueError, TypeError):
        # ValueError and TypeError: a header is not ASCII or not base64, or the body is not UTF-8
        return False
    return True


def sign_by_standard(secret: str, message_id: str, body: bytes) -> WebhookRequest:
    """Return a request that the Standard Webhooks secret signs now."""
    at = datetime.now(UTC)
    headers = {
        "WEBHOOK-ID": message_id,
        "WEBHOOK-TIMESTAMP": str(int(at.timestamp())),
        "WEBHOOK-SIGNATURE": Webhook(secret).sign(message_id, at, body.decode()),
    }
    return WebhookRequest(headers, body)


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
