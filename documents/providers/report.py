"""Event report: one event about an email, in the same form from every provider. Pure.

A provider's file maps its types to the types here. It gives every other type a name with its own
prefix (see `name_unknown_type`), so that Matchback stores and counts it as unknown.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from documents.errors import Unusable
from documents.values.time import truncate_to_milliseconds

# The stored types. The group types are SendGrid's unsubscribe groups.
EVENT_TYPES = frozenset(
    "processed deferred delivered bounce dropped open click spamreport unsubscribe resubscribe "
    "group_unsubscribe group_resubscribe".split()
)
BLOCKED = "blocked"  # `bounce_type` if the receiver rejected the message, not the address
EARLIEST_EVENT_TIME, LATEST_EVENT_TIME = (
    datetime(2000, 1, 1, tzinfo=UTC),
    datetime(2200, 1, 1, tzinfo=UTC),
)
MAX_TEXT_LENGTH = 1000
MAX_MAILING_NAMES = 10
EVENT_KEY_BYTES = 16
ERASED_ITEM = {"erased": True}  # replaces an item about an erased person in a stored body


@dataclass(frozen=True)
class EventReport:
    """One event as a provider reports it.

    Attributes:
        identity: natural key, by which the event is counted once.
        former_identity: natural key that earlier versions gave a click with a link position; None
            if it is the same.
        type: one of `EVENT_TYPES`, or a name of `name_unknown_type`.
        address: the recipient; empty if the provider does not name exactly one.
        email_ref: the email's ID or link token, as the sender gave it to the provider.
        provider_event_id: the provider's own ID of the event; unique for each provider.
        message_id: the provider's ID of the message, the same in each of its events.
        category: names or IDs of mailings.
        url: the clicked link.
        link_position: position of a clicked link in a part of the message.
        ip: address of the client that opened or clicked.
        bounce_type: `BLOCKED`, or the provider's name for the kind of bounce.
        group: SendGrid's unsubscribe group.
        machine: whether the provider knows that a machine opened or clicked.
        of_several: whether the message has several recipients, so that `email_ref` can name the
            email of another one.
    """

    identity: bytes
    former_identity: bytes | None
    type: str
    at: datetime
    address: str
    email_ref: str | None
    provider_event_id: str | None
    message_id: str | None
    category: tuple[str, ...]
    url: str | None
    link_position: str | None
    user_agent: str | None
    ip: str | None
    bounce_type: str | None
    group: str | None
    machine: bool
    of_several: bool = False


def make_report(
    organization: bytes,
    provider: str,
    type_: str,
    at: datetime,
    *,
    address: str | None = None,
    email_ref: str | None = None,
    event_id: str | None = None,
    message_id: str | None = None,
    mailings: Sequence[str] = (),
    url: str | None = None,
    user_agent: str | None = None,
    ip: str | None = None,
    bounce_type: str | None = None,
    machine: bool = False,
    of_several: bool = False,
) -> EventReport:
    """Return the report of an event. Its facts are its natural key, within the provider.

    Args:
        organization: the organization's ID in bytes.
        provider: name of the provider.
        at: time of the event, from `read_unix_time` or `read_iso_time`.
        event_id: the provider's ID of the event, if a redelivery repeats it.
    """
    facts = (provider, message_id, email_ref, address or "", type_, at, url, user_agent, machine)
    return EventReport(
        identity=make_identity(organization, *facts),
        former_identity=None,
        type=type_,
        at=at,
        address=address or "",
        email_ref=email_ref,
        # The prefix keeps the IDs of two providers apart.
        provider_event_id=f"{provider}:{event_id}" if event_id else None,
        message_id=message_id,
        category=tuple(mailings)[:MAX_MAILING_NAMES],
        url=url,
        link_position=None,
        user_agent=user_agent,
        ip=ip,
        bounce_type=bounce_type,
        group=None,
        machine=machine,
        of_several=of_several,
    )


def make_identity(organization: bytes, *parts: Any) -> bytes:
    """Return a natural key: a digest of the facts that a redelivery repeats."""
    texts = ["" if part is None else str(part) for part in parts]
    joined = "".join([f"{len(text)}:{text}" for text in texts]).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(organization + joined, digest_size=EVENT_KEY_BYTES).digest()


def name_unknown_type(provider: str, type_: str) -> str:
    """Return the stored name of a type that Matchback does not know."""
    return f"{provider}:{type_}"[:MAX_TEXT_LENGTH]


def read_object(value: Any) -> Mapping[str, Any]:
    """Return the value if it is an object, or an empty object."""
    return value if isinstance(value, Mapping) else {}


def read_text(item: Mapping[str, Any], name: str) -> str | None:
    """Return a text of the item, bounded and valid in UTF-8; None if it is empty or no text."""
    value = item.get(name)
    return clean_text(value) if isinstance(value, str) and value else None


def read_texts(value: Any) -> tuple[str, ...]:
    """Return the texts of a value that is a text or a list of texts."""
    values = value if isinstance(value, list) else [value]
    return tuple(clean_text(text) for text in values[:MAX_MAILING_NAMES] if isinstance(text, str))


def read_names(*values: Any) -> tuple[str, ...]:
    """Return the texts of several values that are texts or lists of texts, without empty ones."""
    return tuple(name for value in values for name in read_texts(value) if name)


def clean_text(text: str) -> str:
    """Cut the text, and replace characters that UTF-8 cannot encode."""
    text = text[:MAX_TEXT_LENGTH]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def read_unix_time(value: Any) -> datetime:
    """Return the time of a number of seconds, or of its digits.

    Raises:
        Unusable: the value is not such a number, or is out of range.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable("no timestamp")
    try:
        time = datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise Unusable("a timestamp out of range") from None
    return _check_range(time)


def read_iso_time(value: Any) -> datetime:
    """Return the time of a text in ISO 8601. A text without an offset is in UTC.

    Raises:
        Unusable: the value is not such a text, or is out of range.
    """
    if not isinstance(value, str) or len(value) > MAX_TEXT_LENGTH:
        raise Unusable("no timestamp")
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise Unusable("a timestamp that is not in ISO 8601") from None
    try:
        return _check_range(time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC))
    except OverflowError:
        raise Unusable("a timestamp out of range") from None


def _check_range(time: datetime) -> datetime:
    if not EARLIEST_EVENT_TIME <= time < LATEST_EVENT_TIME:
        raise Unusable("a timestamp out of range")
    return truncate_to_milliseconds(time)
