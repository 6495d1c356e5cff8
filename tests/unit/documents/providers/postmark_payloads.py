"""Postmark's payloads, with the named cast: Alice sends the spring appeal, and Bob receives it."""

import json
from typing import Any

from documents.providers.postmark import PROVIDER
from documents.providers.provider import parse_items
from documents.providers.report import EventReport

ORGANIZATION, CHARLIES = b"o" * 12, b"p" * 12
MESSAGE = "883953f4-6105-42a2-a16a-77a8eac79483"
AGENT = "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) Safari/605.1.15"
Item = dict[str, Any]

COMMON = {
    "MessageStream": "outbound",
    "ServerID": 23,
    "MessageID": MESSAGE,
    "Tag": "spring",
    "Metadata": {"email_id": "a" * 24, "mailing": "m" * 24},
}
CLIENT = {
    "Client": {"Name": "Safari 17", "Company": "Apple", "Family": "Safari"},
    "OS": {"Name": "macOS", "Company": "Apple", "Family": "macOS"},
    "Platform": "Desktop",
    "UserAgent": AGENT,
    "Geo": {"Country": "Serbia", "City": "Novi Sad", "IP": "192.0.2.1"},
    "ReceivedAt": "2026-04-05T16:33:54.9070259Z",
    "Recipient": "bob@example.edu",
}
DELIVERY = {
    **COMMON,
    "RecordType": "Delivery",
    "Recipient": "bob@example.edu",
    "DeliveredAt": "2026-04-05T12:33:54.9070259-04:00",
    "Details": "250 OK",
}
OPEN = {**COMMON, **CLIENT, "RecordType": "Open", "FirstOpen": True, "ReadSeconds": 5}
CLICK = {
    **COMMON,
    **CLIENT,
    "RecordType": "Click",
    "ClickLocation": "HTML",
    "OriginalLink": "https://give.edu/",
}
BOUNCE = {
    **COMMON,
    "RecordType": "Bounce",
    "ID": 4323372036854775807,
    "Type": "HardBounce",
    "TypeCode": 1,
    "Name": "Hard bounce",
    "Details": "smtp;550 5.1.1",
    "Email": "bob@example.edu",
    "From": "giving@example.edu",
    "BouncedAt": "2026-04-05T16:33:54.9070259Z",
    "Inactive": True,
}
COMPLAINT = {**BOUNCE, "RecordType": "SpamComplaint", "Type": "SpamComplaint", "TypeCode": 100001}
SUPPRESSION = {
    **COMMON,
    "RecordType": "SubscriptionChange",
    "ChangedAt": "2026-04-05T16:33:54.907025Z",
    "Recipient": "bob@example.edu",
    "Origin": "Recipient",
    "SuppressSending": True,
    "SuppressionReason": "ManualSuppression",
}
REACTIVATION = {
    **SUPPRESSION,
    "MessageID": None,
    "Origin": "Customer",
    "SuppressSending": False,
    "SuppressionReason": None,
    "Tag": None,
    "Metadata": {},
}


def read(item: Any, organization: bytes = ORGANIZATION) -> EventReport:
    """Return the only report of a payload, as Matchback reads it after it was stored."""
    (stored,) = parse_items(PROVIDER.unwrap(json.dumps(item).encode()))
    (report,) = PROVIDER.read_events(organization, stored)
    return report
