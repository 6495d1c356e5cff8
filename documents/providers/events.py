"""Normalised events: the events of any sender, in Matchback's own format. Pure.

Signatures follow Standard Webhooks (https://www.standardwebhooks.com).
docs/how-to/providers/events.md documents the format for its users.

A sender maps its own types to these:

| type | meaning |
| --- | --- |
| `processed` | the provider accepted the message |
| `deferred` | the receiver rejected the message for now, and the provider will retry |
| `delivered` | the receiver accepted the message |
| `bounced` | the address does not work |
| `blocked` | the receiver rejected this message, but the address may work |
| `dropped` | the provider did not send the message |

An event of the type `test` has no other required field. Matchback accepts it, and counts nothing.
"""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from documents.errors import Unusable
from documents.providers.provider import (
    EXAMPLE_EMAIL_ID,
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
    read_text,
)
from documents.providers.signatures import (
    STANDARD_HEADER_TEXTS,
    check_standard_secret,
    is_signed_by_standard,
    sign_by_standard,
)
from documents.values.address import is_address

EVENTS_PROVIDER = "events"
TEST_TYPE = "test"
# Type in the format: stored type
NORMALISED_TYPES = {
    "processed": "processed",
    "deferred": "deferred",
    "delivered": "delivered",
    "bounced": "bounce",
    "blocked": "bounce",
    "dropped": "dropped",
    "opened": "open",
    "clicked": "click",
    "spam_reported": "spamreport",
    "unsubscribed": "unsubscribe",
    "resubscribed": "resubscribe",
}
TEXT_FIELDS = ("email_id", "event_id", "message_id", "address", "url", "user_agent", "ip")
MAX_ADDRESS_FIELD_LENGTH = 254
# The same as in the API. Python's parser also reads other formats of ISO 8601.
_RFC_3339_PATTERN = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def read_events(organization: bytes, item: Any) -> Sequence[EventReport]:
    """Read one event. A test has no event.

    Raises:
        Unusable: the item is not a valid event. The message names the field and the reason.
    """
    if not isinstance(item, Mapping):
        raise Unusable("not an object")
    type_ = _read_type(item)
    if type_ == TEST_TYPE:
        return ()
    at = _read_time(item)
    texts = {name: _read_optional_text(item, name) for name in TEXT_FIELDS}
    _check_subject(texts)
    report = make_report(
        organization,
        EVENTS_PROVIDER,
        NORMALISED_TYPES.get(type_) or name_unknown_type(EVENTS_PROVIDER, type_),
        at,
        address=texts["address"],
        email_ref=texts["email_id"],
        event_id=texts["event_id"],
        message_id=texts["message_id"],
        mailings=_read_mailings(item.get("mailing")),
        url=texts["url"],
        user_agent=texts["user_agent"],
        ip=texts["ip"],
        bounce_type=BLOCKED if type_ == "blocked" else None,
        machine=_read_machine(item.get("machine")),
    )
    return (report,)


def sign_test(secret: str) -> WebhookRequest:
    """Return a request with one test, signed with the secret."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    body = json.dumps([{"type": TEST_TYPE, "at": at}]).encode()
    return sign_by_standard(secret, f"test-{uuid.uuid4()}", body)


def _read_type(item: Mapping[str, Any]) -> str:
    if item.get("type") in (None, ""):
        raise Unusable("no `type`")
    type_ = read_text(item, "type")
    if type_ is None:
        raise Unusable("`type` is not a text")
    return type_


def _read_time(item: Mapping[str, Any]) -> datetime:
    at = item.get("at")
    if at in (None, ""):
        raise Unusable("no `at`")
    if not isinstance(at, str) or not _RFC_3339_PATTERN.fullmatch(at):
        raise Unusable("`at` is not an RFC 3339 time with an offset")
    try:
        return read_iso_time(at.upper())
    except Unusable as error:
        raise Unusable(f"`at` is {error}") from None


def _read_optional_text(item: Mapping[str, Any], name: str) -> str | None:
    if item.get(name) not in (None, "") and not isinstance(item[name], str):
        raise Unusable(f"`{name}` is not a text")
    return read_text(item, name)


def _check_subject(texts: Mapping[str, str | None]) -> None:
    """Check that the event names its email, its message or its recipient."""
    address = texts["address"]
    if address and not (len(address) <= MAX_ADDRESS_FIELD_LENGTH and is_address(address)):
        raise Unusable("`address` is not an email address")
    if not (texts["email_id"] or texts["message_id"] or address):
        raise Unusable("none of `email_id`, `message_id` and `address`")


def _read_mailings(value: Any) -> tuple[str, ...]:
    """Return the names or IDs of mailings. A list may have several."""
    if value is None:
        return ()
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) for name in names):
        raise Unusable("`mailing` is not a text")
    return read_names(value)


def _read_machine(value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        raise Unusable("`machine` is not true or false")
    return value is True


PROVIDER = Provider(
    name=EVENTS_PROVIDER,
    label="Any other sender",
    tag="EventsWebhook",
    sends="normalised events from any sender",
    kind="emails",
    headers=STANDARD_HEADER_TEXTS,
    scheme=AuthenticityScheme("secret", check_standard_secret, is_signed_by_standard),
    example=[
        {
            "type": "clicked",
            "at": "2026-04-02T09:00:00Z",
            "email_id": EXAMPLE_EMAIL_ID,
            "event_id": "click-1042",
            "message_id": "message-17",
            "address": "bob@example.edu",
            "mailing": "Spring Appeal",
            "url": "https://giving.example.edu/spring",
            "user_agent": "Mozilla/5.0 (Macintosh)",
            "ip": "192.0.2.1",
            "machine": False,
        }
    ],
    setup=(
        "Create a secret of 24 to 64 random bytes in base64 with the prefix whsec_. Enter it here "
        "and in the program that sends the events. Set email_id and mailing in each event."
    ),
    read_events=read_events,
    sign_test=sign_test,
)
