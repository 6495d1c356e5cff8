"""Mailgun's signature, which is inside the body. Pure.

The signature covers a time and a token, but not the event. So it proves only that the sender has
seen a request of Mailgun's (see `docs/how-to/providers/mailgun.md`). It may have any age, because
Mailgun retries for 8 hours and documents no new signature. Matchback counts each event once, so a
replay is harmless.

Source: Mailgun's user manual ("Securing Webhooks" and "Automatic Retries").
"""

import hashlib
import hmac
from typing import Any

from documents.errors import Unusable
from documents.providers.provider import OPAQUE_KEY_PATTERN, WebhookRequest, parse_items
from documents.providers.report import read_object

MAX_SIGNED_SECONDS = 2**53  # larger numbers lose digits as floats
SIGNATURE_FIELDS = ("signature", "parent-signature")  # the parent account signs for subaccounts


def check_signing_key(text: str) -> None:
    """Check that the text can be Mailgun's HTTP webhook signing key.

    Raises:
        Unusable: the text is not such a key.
    """
    if not OPAQUE_KEY_PATTERN.fullmatch(text):
        raise Unusable("Must be Mailgun's HTTP webhook signing key, of 8 to 255 characters")


def is_signed(key: str, request: WebhookRequest) -> bool:
    """Return whether the key, of the account or its parent, signed the only item of the body.

    It reads the body as `read_events` will, so both see the same value of a repeated name.
    """
    try:
        (item,) = parse_items(request.body)
    except (Unusable, ValueError):  # ValueError: several items, or none
        return False
    block = read_object(read_object(item).get("signature"))
    timestamp, token = _read_signed_time(block.get("timestamp")), block.get("token")
    if not (key and timestamp and token and isinstance(token, str)):
        return False
    expected = hmac.new(_encode(key), _encode(timestamp + token), hashlib.sha256).hexdigest()
    sent = [block.get(name) for name in SIGNATURE_FIELDS]
    equal = [hmac.compare_digest(_encode(expected), _encode(one)) for one in sent]
    return any(equal)


def _read_signed_time(value: Any) -> str:
    """Return the signed time as Mailgun wrote it. A body that is not valid JSON has floats."""
    if isinstance(value, str):
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(int(value)) if is_number and 0 < value < MAX_SIGNED_SECONDS else ""


def _encode(value: Any) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b""
