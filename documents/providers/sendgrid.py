"""SendGrid's Event Webhook: its signature and its events. Pure.

Source: SendGrid's Event Webhook reference, and the `eventwebhook` helper of the `sendgrid` package.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from documents.errors import Unusable
from documents.values.json_items import count_items, read_items
from documents.values.time import truncate_to_milliseconds

SENDGRID_PROVIDER = "sendgrid"  # as stored in deliveries
SIGNATURE_HEADER = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP_HEADER = "X-Twilio-Email-Event-Webhook-Timestamp"

SENDGRID_EVENT_TYPES = frozenset(
    "processed deferred delivered bounce dropped open click spamreport unsubscribe "
    "group_unsubscribe group_resubscribe".split()
)
EARLIEST_EVENT_TIME, LATEST_EVENT_TIME = (
    datetime(2000, 1, 1, tzinfo=UTC),
    datetime(2200, 1, 1, tzinfo=UTC),
)
MAX_TEXT_LENGTH = 1000
MAX_OFFSET_LENGTH = 100
MAX_CATEGORIES = 10  # SendGrid's limit for a message
EVENT_KEY_BYTES = 16
ERASED_ITEM = {"erased": True}  # replaces an item about an erased person in a stored body


@lru_cache(maxsize=1024)
def load_public_key(text: str) -> EllipticCurvePublicKey:
    """Read a verification key: base64 of a SubjectPublicKeyInfo on the P-256 curve.

    Raises:
        Unusable: the text is not such a key.
    """
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise Unusable("Must be a public key in base64") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise Unusable("Must be a key on the P-256 curve")
    return key


def is_signed(key: EllipticCurvePublicKey, signature: str, timestamp: str, body: bytes) -> bool:
    """Return whether the key signed the timestamp and the raw body, by ECDSA with SHA-256.

    The signature is DER in base64. The timestamp may have any age, because a redelivery may carry
    the first signature. A replay is harmless, because Matchback counts each event once.
    """
    try:
        key.verify(
            base64.b64decode(signature, validate=True),
            timestamp.encode() + body,
            ECDSA(SHA256()),
        )
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True


@dataclass(frozen=True)
class EventReport:
    """One event as SendGrid reports it.

    Attributes:
        identity: natural key, by which the event is counted once.
        former_identity: natural key that earlier versions gave a click with a link position; None
            if it is the same.
        link_position: position of a clicked link in a part of the message.
    """

    identity: bytes
    former_identity: bytes | None
    type: str
    at: datetime
    address: str
    email_ref: str | None
    sg_event_id: str | None
    sg_message_id: str | None
    category: tuple[str, ...]
    url: str | None
    link_position: str | None
    user_agent: str | None
    ip: str | None
    bounce_type: str | None
    group: str | None
    machine: bool


def parse_post(body: bytes) -> list[Any]:
    """Return the items of a POST, unchecked. An item that is not valid JSON becomes None.

    Raises:
        Unusable: the body is not a JSON array.
    """
    return read_items(body)


def count_post_items(body: bytes) -> int:
    """Return the number of items that `parse_post` returns, without reading each.

    Raises:
        Unusable: the body is not a JSON array.
    """
    return count_items(body)


def read_event_report(organization: bytes, item: Any) -> EventReport:
    """Read one item of a POST.

    Raises:
        Unusable: the item is not a valid event. The message is the reason, without personal data.
    """
    if not isinstance(item, Mapping):
        raise Unusable("not an object")
    type_, address = _text(item, "event"), _text(item, "email") or ""
    if not type_:
        raise Unusable("no event type")
    at = _time(item.get("timestamp"))
    message, url, agent = (_text(item, name) for name in ("sg_message_id", "url", "useragent"))
    email_ref, group = _text(item, "email_id"), _group(item.get("asm_group_id"))
    facts = [message, email_ref, address, type_, at, url, agent, *([group] if group else [])]
    position = _link_position(item.get("url_offset")) if type_ == "click" else None
    identity = _identity(organization, *facts)
    return EventReport(
        identity=_identity(organization, *facts, position) if position else identity,
        former_identity=identity if position else None,
        type=type_,
        at=at,
        address=address,
        email_ref=email_ref,
        sg_event_id=_text(item, "sg_event_id"),
        sg_message_id=message,
        category=_categories(item.get("category")),
        url=url,
        link_position=position,
        user_agent=agent,
        ip=_text(item, "ip"),
        bounce_type=_text(item, "type"),
        group=group,
        machine=item.get("sg_machine_open") is True,
    )


def _identity(organization: bytes, *parts: Any) -> bytes:
    """Return the natural key. A redelivery may have a new `sg_event_id`, but no other new fact.

    The last part is a group (digits only) or a link position (with a slash). So these two never
    collide.
    """
    texts = ["" if part is None else str(part) for part in parts]
    told = "".join([f"{len(text)}:{text}" for text in texts]).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(organization + told, digest_size=EVENT_KEY_BYTES).digest()


def _text(item: Mapping[str, Any], name: str) -> str | None:
    value = item.get(name)
    return _clean(value) if isinstance(value, str) and value else None


def _clean(text: str) -> str:
    """Cut the text, and replace characters that UTF-8 cannot encode."""
    text = text[:MAX_TEXT_LENGTH]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _link_position(value: Any) -> str | None:
    """Return a click's `url_offset` as a text: the link's index and the part, such as "0/html"."""
    if not isinstance(value, Mapping):
        return None
    index, part = (_offset(value.get(name)) for name in ("index", "type"))
    return f"{index}/{part}" if index or part else None


def _offset(value: Any) -> str:
    """Return the same text for 0, 0.0 and "0", because an invalid body is parsed with floats."""
    if isinstance(value, str):
        return _clean(value[:MAX_OFFSET_LENGTH])
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**63:
        return ""
    return str(int(value)) if value == int(value) else str(value)


def _group(value: Any) -> str | None:
    """Return the number of an unsubscribe group. An invalid body is parsed with floats."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number and 0 <= value < 2**63 else None


def _categories(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(_clean(text) for text in values[:MAX_CATEGORIES] if isinstance(text, str))


def _time(value: Any) -> datetime:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable("no timestamp")
    try:
        time = datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise Unusable("a timestamp out of range") from None
    if not EARLIEST_EVENT_TIME <= time < LATEST_EVENT_TIME:
        raise Unusable("a timestamp out of range")
    return truncate_to_milliseconds(time)
