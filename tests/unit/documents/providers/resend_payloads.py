"""Resend's payloads, with the named cast: Alice sends the spring appeal, and Bob receives it."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from standardwebhooks import Webhook

from documents.providers.provider import WebhookRequest, parse_items
from documents.providers.report import EventReport
from documents.providers.resend import PROVIDER

ORGANIZATION, CHARLIES = b"o" * 12, b"p" * 12
SECRET = "whsec_" + base64.b64encode(b"alice raises funds 24 ok").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"charlie works elsewhere!").decode()
MESSAGE = "56761188-7520-42d8-8898-ff6fc54ce618"
AGENT = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/16.1 Safari/605.1.15"
CLICK = {
    "ipAddress": "192.0.2.1",
    "link": "https://give.edu/",
    "timestamp": "2026-11-24T05:00:57.163Z",
    "userAgent": AGENT,
}
Item = dict[str, Any]


def make_item(type_: str, **data: Any) -> Item:
    """Return the payload of an event about Bob's email."""
    return {
        "type": type_,
        "created_at": "2026-11-22T23:41:12.126Z",
        "data": {
            "broadcast_id": "8b146471-e88e-4322-86af-016cd36fd216",
            "created_at": "2026-11-22T23:41:11.894719+00:00",
            "email_id": MESSAGE,
            "from": "Giving <giving@example.edu>",
            "to": ["bob@example.edu"],
            "subject": "Spring",
            "tags": {"email_id": "a" * 24, "mailing": "m" * 24, "category": "appeal"},
            **data,
        },
    }


def read(item: Item, organization: bytes = ORGANIZATION) -> EventReport:
    """Return the only report of a payload, as Matchback reads it after it was stored."""
    (stored,) = parse_items(PROVIDER.unwrap(json.dumps(item).encode()))
    (report,) = PROVIDER.read_events(organization, stored)
    return report


def sign(body: bytes, secret: str = SECRET, age: timedelta = timedelta()) -> dict[str, str]:
    """Return the headers that Svix adds."""
    at = datetime.now(UTC) - age
    return {
        "SVIX-ID": "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
        "SVIX-TIMESTAMP": str(int(at.timestamp())),
        "SVIX-SIGNATURE": Webhook(secret).sign(
            "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", at, body.decode()
        ),
    }


def is_authentic(headers: dict[str, str], body: bytes, secret: str = SECRET) -> bool:
    """Return whether Matchback accepts the request."""
    return PROVIDER.scheme.is_authentic(secret, WebhookRequest(headers, body))
