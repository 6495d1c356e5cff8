"""SendGrid's Event Webhook: its signature and its events. Pure.

Source: SendGrid's Event Webhook reference, and the `eventwebhook` helper of the `sendgrid` package.
"""

import base64
import binascii
import re
from collections.abc import Mapping
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
from documents.providers.provider import (
    EXAMPLE_EMAIL_ID,
    AuthenticityScheme,
    Provider,
    WebhookRequest,
)
from documents.providers.report import (
    EventReport,
    clean_text,
    make_identity,
    read_text,
    read_texts,
    read_unix_time,
)

SIGNATURE_HEADER = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP_HEADER = "X-Twilio-Email-Event-Webhook-Timestamp"
PEM_ARMOUR = re.compile(r"-----(?:BEGIN|END) ?PUBLIC ?KEY-----")
MAX_OFFSET_LENGTH = 100


@lru_cache(maxsize=1024)
def load_public_key(text: str) -> EllipticCurvePublicKey:
    """Read a verification key: base64 of a SubjectPublicKeyInfo on the P-256 curve.

    The text may have PEM armour.

    Raises:
        Unusable: the text is not such a key.
    """
    encoded = PEM_ARMOUR.sub("", text)
    try:
        key = load_der_public_key(base64.b64decode(encoded, validate=True))
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


def is_authentic(key: str, request: WebhookRequest) -> bool:
    """Return whether the key signed the request."""
    signature = request.headers.get(SIGNATURE_HEADER.upper(), "")
    timestamp = request.headers.get(TIMESTAMP_HEADER.upper(), "")
    return is_signed(load_public_key(key), signature, timestamp, request.body)


def read_events(organization: bytes, item: Any) -> tuple[EventReport]:
    """Read one item of a POST. It is one event.

    Raises:
        Unusable: the item is not a valid event. The message is the reason, without personal data.
    """
    return (read_event_report(organization, item),)


def read_event_report(organization: bytes, item: Any) -> EventReport:
    """Return the event of an item.

    Raises:
        Unusable: as `read_events`.
    """
    if not isinstance(item, Mapping):
        raise Unusable("not an object")
    type_, address = read_text(item, "event"), read_text(item, "email") or ""
    if not type_:
        raise Unusable("no event type")
    at = read_unix_time(item.get("timestamp"))
    message, url, agent = (read_text(item, name) for name in ("sg_message_id", "url", "useragent"))
    email_ref, group = read_text(item, "email_id"), _group(item.get("asm_group_id"))
    facts = [message, email_ref, address, type_, at, url, agent, *([group] if group else [])]
    position = _link_position(item.get("url_offset")) if type_ == "click" else None
    # A redelivery may have a new `sg_event_id`, but no other new fact. The last fact is a group
    # (digits only) or a link position (with a slash). So these two never collide.
    identity = make_identity(organization, *facts)
    return EventReport(
        identity=make_identity(organization, *facts, position) if position else identity,
        former_identity=identity if position else None,
        type=type_,
        at=at,
        address=address,
        email_ref=email_ref,
        provider_event_id=read_text(item, "sg_event_id"),
        message_id=message,
        category=read_texts(item.get("category")),
        url=url,
        link_position=position,
        user_agent=agent,
        ip=read_text(item, "ip"),
        bounce_type=read_text(item, "type"),
        group=group,
        machine=item.get("sg_machine_open") is True,
    )


def _link_position(value: Any) -> str | None:
    """Return a click's `url_offset` as a text: the link's index and the part, such as "0/html"."""
    if not isinstance(value, Mapping):
        return None
    index, part = (_offset(value.get(name)) for name in ("index", "type"))
    return f"{index}/{part}" if index or part else None


def _offset(value: Any) -> str:
    """Return the same text for 0, 0.0 and "0", because an invalid body is parsed with floats."""
    if isinstance(value, str):
        return clean_text(value[:MAX_OFFSET_LENGTH])
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**63:
        return ""
    return str(int(value)) if value == int(value) else str(value)


def _group(value: Any) -> str | None:
    """Return the number of an unsubscribe group. An invalid body is parsed with floats."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number and 0 <= value < 2**63 else None


PROVIDER = Provider(
    name="sendgrid",
    label="SendGrid",
    tag="SendGridWebhook",
    sends="SendGrid events",
    kind="emails",
    headers={
        SIGNATURE_HEADER: "ECDSA over the timestamp and the raw body, as base64 DER.",
        TIMESTAMP_HEADER: "Time of the signature; part of the signed text.",
    },
    scheme=AuthenticityScheme("public_key", load_public_key, is_authentic, is_secret=False),
    example=[
        {
            "email": "bob@example.edu",
            "timestamp": 1_775_120_400,
            "event": "click",
            "url": "https://giving.example.edu/spring",
            "sg_event_id": "ZGVmYXVsdA",
            "sg_message_id": "14c5d75ce93.dfd.64b469",
            "email_id": EXAMPLE_EMAIL_ID,
        }
    ],
    setup=(
        "In SendGrid, open Settings, Mail Settings, Event Webhook. Enter the URL, select all "
        "actions, and enable signature verification. Copy the verification key to this page."
    ),
    read_events=read_events,
)
