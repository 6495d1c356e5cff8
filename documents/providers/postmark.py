"""Postmark's webhooks. Pure.

Postmark signs nothing. It sends HTTP Basic credentials or custom headers, which
`documents/providers/credentials.py` checks.

| bounce type                                                | stored          |
| ---------------------------------------------------------- | --------------- |
| HardBounce, BadEmailAddress                                | bounce          |
| SoftBounce, Blocked, DMARCPolicy, SpamNotification,        | bounce, blocked |
| VirusNotification, ChallengeVerification, Unknown          |                 |
| Transient, DnsError                                        | deferred        |
| SMTPApiError, TemplateRenderingFailed, ManuallyDeactivated | dropped         |
| Unconfirmed                                                |                 |
| SpamComplaint                                              | spamreport      |
| Unsubscribe, or Subscribe                                  | (un)subscribe   |
| AutoResponder, AddressChange, OpenRelayTest, InboundError  | nothing         |

A SoftBounce is a block, because Postmark has then stopped its attempts ("How to fix soft bounces").
Sources: Postmark's developer documentation ("Webhooks", "Bounce types"), its support pages, the
`postmark` package for Node.js, and django-anymail's tests.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from documents.errors import Unusable
from documents.providers.credentials import CREDENTIAL_HEADERS, CREDENTIAL_SCHEME
from documents.providers.postmark_types import (
    APPLE_PROXY_AGENT,
    BOUNCE_TYPE_CODES,
    BOUNCE_TYPES,
    HARD_BOUNCE_TYPES,
    RECORD_TYPES,
    SUPPRESSION_TYPES,
    TIME_FIELDS,
    UNCOUNTED_BOUNCE_TYPES,
)
from documents.providers.provider import EXAMPLE_EMAIL_ID, Provider
from documents.providers.recipients import read_sole_address
from documents.providers.report import (
    BLOCKED,
    EventReport,
    make_report,
    name_unknown_type,
    read_iso_time,
    read_object,
    read_text,
    read_texts,
)

NAME = "postmark"
MAX_ID = 2**63


def read_events(organization: bytes, item: Any) -> Sequence[EventReport]:
    """Read one webhook payload.

    Raises:
        Unusable: the payload is invalid.
    """
    data = read_object(item)
    record = _read_record_type(data)
    bounce = _read_bounce_type(data)
    if record == "Inbound" or (record == "Bounce" and bounce in UNCOUNTED_BOUNCE_TYPES):
        return ()
    return [_make_report(organization, record, bounce, data)]


def _make_report(
    organization: bytes, record: str, bounce: str, data: Mapping[str, Any]
) -> EventReport:
    type_ = _classify(record, bounce, data)
    metadata, agent = read_object(data.get("Metadata")), read_text(data, "UserAgent")
    message_id = read_text(data, "MessageID")
    return make_report(
        organization,
        NAME,
        type_,
        read_iso_time(next(filter(None, map(data.get, TIME_FIELDS)), None)),
        address=read_sole_address(data.get("Recipient") or data.get("Email")),
        email_ref=read_text(metadata, "email_id"),
        event_id=_read_event_id(record, message_id, data.get("ID")),
        message_id=message_id,
        mailings=[*read_texts(metadata.get("mailing")), *filter(None, [read_text(data, "Tag")])],
        url=read_text(data, "OriginalLink"),
        user_agent=agent,
        ip=read_text(read_object(data.get("Geo")), "IP"),
        bounce_type=_name_bounce(record, bounce) if type_ == "bounce" else None,
        machine=type_ == "open" and agent == APPLE_PROXY_AGENT,
    )


def _read_record_type(data: Mapping[str, Any]) -> str:
    """Return the type of the payload. Older payloads have none, but each has its own fields."""
    if record := read_text(data, "RecordType"):
        return record
    if "FromFull" in data:
        return "Inbound"
    if "ReceivedAt" in data:
        return "Click" if "OriginalLink" in data else "Open"
    known = {"BouncedAt": "Bounce", "DeliveredAt": "Delivery", "ChangedAt": "SubscriptionChange"}
    for field, record in known.items():
        if field in data:
            return record
    raise Unusable("no record type")


def _read_bounce_type(data: Mapping[str, Any]) -> str:
    """Return the type of a bounce, from its name or its code."""
    if name := read_text(data, "Type"):
        return name
    code = data.get("TypeCode")
    return BOUNCE_TYPE_CODES.get(code, "Unknown") if isinstance(code, int | float) else "Unknown"


def _classify(record: str, bounce: str, data: Mapping[str, Any]) -> str:
    if record == "Bounce":
        return BOUNCE_TYPES.get(bounce) or name_unknown_type(NAME, f"Bounce/{bounce}")
    if record == "SubscriptionChange":
        return _classify_subscription(data)
    return RECORD_TYPES.get(record) or name_unknown_type(NAME, record)


def _classify_subscription(data: Mapping[str, Any]) -> str:
    """Return the type of a change of the suppression list. Its reason is null if it is lifted."""
    suppresses = data.get("SuppressSending")
    if not isinstance(suppresses, bool):
        raise Unusable("no SuppressSending")
    if not suppresses:
        return "resubscribe"
    reason = read_text(data, "SuppressionReason") or "ManualSuppression"
    return SUPPRESSION_TYPES.get(reason) or name_unknown_type(NAME, f"Suppression/{reason}")


def _name_bounce(record: str, bounce: str) -> str:
    """Return the stored kind of bounce. Postmark suppresses addresses after hard bounces only."""
    kind = bounce if record == "Bounce" else "HardBounce"
    return kind if kind in HARD_BOUNCE_TYPES else BLOCKED


def _read_event_id(record: str, message_id: str | None, id_: Any) -> str | None:
    """Return the ID of a bounce or complaint. Other payloads have none.

    Postmark's test messages share one ID, so add the other facts.
    """
    is_number = isinstance(id_, int | float) and not isinstance(id_, bool)
    return f"{record}:{message_id}:{int(id_)}" if is_number and 0 < id_ < MAX_ID else None


PROVIDER = Provider(
    name=NAME,
    label="Postmark",
    tag="PostmarkWebhook",
    sends="a Postmark event",
    kind="emails",
    headers=CREDENTIAL_HEADERS,
    scheme=CREDENTIAL_SCHEME,
    example={
        "RecordType": "Click",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Recipient": "bob@example.edu",
        "ReceivedAt": "2026-04-02T09:00:00.9070259Z",
        "OriginalLink": "https://giving.example.edu/spring",
        "UserAgent": "Mozilla/5.0 (iPhone)",
        "Metadata": {"email_id": EXAMPLE_EMAIL_ID},
    },
    setup=(
        "In Postmark, open the message stream's Webhooks, add this URL with a user name and a "
        "random password of Basic authentication, and select all events. Paste the password, or "
        "`user:password`, here. Send `email_id` and `mailing` in each message's `Metadata`."
    ),
    read_events=read_events,
)
