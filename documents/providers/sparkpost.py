"""SparkPost: its credentials and its events. Pure.

SparkPost signs nothing. Each request carries Basic credentials, an OAuth 2.0 token or a header.

Sources: SparkPost's API reference ("Webhooks" and its event documentation), and its support pages
"Bounce Classification Codes", "Webhook Authentication" and "Open Pixel Placement on SparkPost".

| `bounce_class` | category | stored |
| --- | --- | --- |
| 10, 30 | hard | bounce: the address does not work |
| 1, 20 to 24, 40, 70 | undetermined, soft | block: SparkPost gave up; the address may work |
| 50 to 54 | block | block: the receiver rejected this message |
| 25 | admin | dropped: SparkPost's policy stopped the message |
| 90 | hard | unsubscribe: the recipient's answer asks for it |
| 60, 80, 100 | soft, admin | unknown: an automatic answer, after the receiver took the message |
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from documents.errors import Unusable
from documents.providers.credentials import (
    CREDENTIAL_HEADERS,
    check_credential,
    is_credential_sent,
)
from documents.providers.provider import (
    EXAMPLE_EMAIL_ID,
    MAX_BATCH_BYTES,
    AuthenticityScheme,
    Provider,
    WebhookRequest,
)
from documents.providers.report import (
    BLOCKED,
    EventReport,
    make_report,
    name_unknown_type,
    read_iso_time,
    read_names,
    read_object,
    read_text,
    read_unix_time,
)

SPARKPOST_PROVIDER = "sparkpost"
TOKEN_HEADER = "X-MessageSystems-Webhook-Token"  # noqa: S105  # of older webhooks

# A message has a pixel at its top (initial_open) and one at its bottom (open). Gmail cuts off the
# bottom of a long message, so both are opens. In one second they have the same natural key.
SPARKPOST_TYPES = {
    "injection": "processed",
    "delay": "deferred",
    "delivery": "delivered",
    "policy_rejection": "dropped",
    "generation_failure": "dropped",
    "generation_rejection": "dropped",
    "open": "open",
    "initial_open": "open",
    "amp_open": "open",
    "amp_initial_open": "open",
    "click": "click",
    "amp_click": "click",
    "spam_complaint": "spamreport",
    "list_unsubscribe": "unsubscribe",
    "link_unsubscribe": "unsubscribe",
}
ENGAGEMENT_TYPES = frozenset(("open", "click"))  # stored types with the recipient's IP address
HARD_BOUNCE_CLASSES = frozenset(("10", "30"))
# Class: stored type, for classes that are no bounces
OTHER_CLASSES = {
    "25": "dropped",
    "60": name_unknown_type(SPARKPOST_PROVIDER, "auto_reply"),
    "80": name_unknown_type(SPARKPOST_PROVIDER, "subscribe"),
    "90": "unsubscribe",
    "100": name_unknown_type(SPARKPOST_PROVIDER, "challenge_response"),
}
# Received emails, tests of subject lines, and imports of events
UNCOUNTED_CLASSES = frozenset(("relay_event", "relay_message", "ab_test_event", "ingest_event"))


def is_authentic(credential: str, request: WebhookRequest) -> bool:
    """Return whether the request carries the credential, also in SparkPost's own header."""
    sent = request.headers.get(TOKEN_HEADER.upper(), "").strip()
    is_token = hmac.compare_digest(credential.encode(), sent.encode("utf-8", "surrogatepass"))
    return is_credential_sent(credential, request) or (is_token and bool(credential))


def read_events(organization: bytes, item: Any) -> Sequence[EventReport]:
    """Read one item, which has one event. The item of a test has none.

    Raises:
        Unusable: the item is not a valid event.
    """
    if not isinstance(item, Mapping):
        raise Unusable("not an object")
    envelope = item.get("msys")
    if not isinstance(envelope, Mapping):
        raise Unusable("no object `msys`")
    return [
        _read_event(organization, event)
        for class_, event in envelope.items()
        if class_ not in UNCOUNTED_CLASSES
    ]


def _read_event(organization: bytes, event: Any) -> EventReport:
    if not isinstance(event, Mapping):
        raise Unusable("an event that is not an object")
    type_ = read_text(event, "type")
    if not type_:
        raise Unusable("no event type")
    stored, bounce_type = _classify(type_, event)
    metadata = read_object(event.get("rcpt_meta"))
    return make_report(
        organization,
        SPARKPOST_PROVIDER,
        stored,
        _read_time(event.get("timestamp")),
        address=read_text(event, "raw_rcpt_to") or read_text(event, "rcpt_to"),
        email_ref=read_text(metadata, "email_id"),
        event_id=read_text(event, "event_id"),
        message_id=read_text(event, "message_id"),
        mailings=read_names(
            metadata.get("mailing"), event.get("campaign_id"), event.get("rcpt_tags")
        ),
        url=read_text(event, "target_link_url"),
        user_agent=read_text(event, "user_agent"),
        ip=read_text(event, "ip_address") if stored in ENGAGEMENT_TYPES else None,
        bounce_type=bounce_type,
        machine=read_object(event.get("user_agent_parsed")).get("is_prefetched") is True,
    )


def _classify(type_: str, event: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the stored type, and the kind of bounce."""
    if type_ not in ("bounce", "out_of_band"):
        return SPARKPOST_TYPES.get(type_) or name_unknown_type(SPARKPOST_PROVIDER, type_), None
    class_ = _read_bounce_class(event.get("bounce_class"))
    if class_ in OTHER_CLASSES:
        return OTHER_CLASSES[class_], None
    return "bounce", class_ if class_ in HARD_BOUNCE_CLASSES else BLOCKED


def _read_bounce_class(value: Any) -> str:
    """Return the class as a text. An invalid body is parsed with floats."""
    if isinstance(value, str):
        return value[:10]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(int(value)) if is_number and 0 < value < 1000 else ""


def _read_time(value: Any) -> datetime:
    """Return the time of Unix seconds, or of a text in ISO 8601."""
    if isinstance(value, str) and "T" in value[:20]:
        return read_iso_time(value)
    return read_unix_time(value)


PROVIDER = Provider(
    name=SPARKPOST_PROVIDER,
    label="SparkPost",
    tag="SparkPostWebhook",
    sends="SparkPost events",
    kind="emails",
    headers={**CREDENTIAL_HEADERS, TOKEN_HEADER: "The secret, from older webhooks."},
    scheme=AuthenticityScheme("secret", check_credential, is_authentic),
    example=[
        {
            "msys": {
                "track_event": {
                    "type": "click",
                    "event_id": "92356927693813856",
                    "message_id": "000443ee14578172be22",
                    "rcpt_meta": {"email_id": EXAMPLE_EMAIL_ID},
                    "rcpt_to": "bob@example.edu",
                    "target_link_url": "https://giving.example.edu/spring",
                    "timestamp": "1775120400",
                }
            }
        }
    ],
    setup=(
        "Enter user:password here, with a password of at least 16 characters. In SparkPost, "
        "create a webhook with the URL and this user and password. Select all events, but only "
        "one of Open and Initial Open. Send each message with the metadata email_id and mailing."
    ),
    max_body_bytes=MAX_BATCH_BYTES,
    read_events=read_events,
)
