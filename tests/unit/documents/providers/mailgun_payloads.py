"""Mailgun's payloads, with the named cast: Alice sends the spring appeal, and Bob receives it."""

import hashlib
import hmac
import json
from typing import Any

from documents.providers.mailgun import PROVIDER
from documents.providers.provider import WebhookRequest, parse_items
from documents.providers.report import EventReport

ORGANIZATION, CHARLIES = b"o" * 12, b"p" * 12
KEY, PARENT_KEY = "b0b5ca1e" * 4, "a11ce000" * 4
AT = 1770327118.6648676
AGENT = "Mozilla/5.0 (Linux; Android 14) Chrome/133.0 Mobile Safari/537.36"
TOKEN = "7e5a" * 12 + "9f"
Item = dict[str, Any]


def make_data(type_: str, **fields: Any) -> Item:
    """Return the event data that Mailgun sends about Bob's email."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return {
        "event": type_,
        "id": f"{type_}-A9dLUrCXQjK92TlnW3zkIA",
        "timestamp": AT,
        "log-level": "info",
        "account": {"id": "1234567890303a4bd1f33898"},
        "domain": {"name": "mail.example.edu"},
        "message": {"headers": {"message-id": "20260205.8e3a@mail.example.edu"}},
        "campaigns": [],
        "recipient": "bob@example.edu",
        "recipient-domain": "example.edu",
        "tags": ["spring", "alumni"],
        "user-variables": {"email_id": "a" * 24, "mailing": "m" * 24},
        **named,
    }


def sign(key: str, timestamp: Any = "1770327119", token: str = TOKEN) -> Item:
    """Return the signature block of a payload."""
    text = f"{timestamp}{token}".encode()
    digest = hmac.new(key.encode(), text, hashlib.sha256).hexdigest()
    return {"timestamp": timestamp, "token": token, "signature": digest}


def wrap(data: Item, **block: Any) -> Item:
    """Return a signed payload."""
    return {"signature": {**sign(KEY), **block}, "event-data": data}


def read(data: Item, organization: bytes = ORGANIZATION) -> EventReport:
    """Return the only report of a payload, as Matchback reads it after it was stored."""
    (item,) = parse_items(PROVIDER.unwrap(json.dumps(wrap(data)).encode()))
    (report,) = PROVIDER.read_events(organization, item)
    return report


def is_authentic(item: Any, key: str = KEY) -> bool:
    """Return whether Matchback accepts the request."""
    body = item if isinstance(item, bytes) else json.dumps(item).encode()
    return PROVIDER.scheme.is_authentic(key, WebhookRequest({}, body, "https://x.edu/"))
