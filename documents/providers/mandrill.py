"""Mandrill (Mailchimp Transactional): its signed form and its events. Pure.

Sources, all by Mailchimp Transactional:

- the guide "Track and Respond to Email Activity with Webhooks" and the reference "Webhooks"
- the help articles "About Bounces" and "Why can't my webhook or inbound route URL be verified"

| event | stored | reason |
| --- | --- | --- |
| `hard_bounce` | bounce | the address does not work |
| `soft_bounce` | block | Mandrill gave up, but the address may work; retries are `deferral` |
| `reject` | dropped | Mandrill did not send the message |
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from documents.errors import Unusable
from documents.providers.provider import (
    EXAMPLE_EMAIL_ID,
    MAX_BATCH_BYTES,
    OPAQUE_KEY_PATTERN,
    AuthenticityScheme,
    Provider,
    WebhookRequest,
)
from documents.providers.report import (
    BLOCKED,
    EventReport,
    make_report,
    name_unknown_type,
    read_names,
    read_object,
    read_text,
    read_unix_time,
)

MANDRILL_PROVIDER = "mandrill"
SIGNATURE_HEADER = "X-Mandrill-Signature"
EVENTS_FIELD = b"mandrill_events"
FORM_MEDIA_TYPE = "application/x-www-form-urlencoded"
MAX_FORM_FIELDS = 10  # Mandrill sends one
# Mandrill checks a new URL with no events, signed by this public key.
CHECK_KEY = "test-webhook"
NO_EVENTS = b"[]"
MAX_CHECK_BYTES = 100

MANDRILL_TYPES = {
    "send": "processed",
    "deferral": "deferred",
    "delivered": "delivered",
    "hard_bounce": "bounce",
    "soft_bounce": "bounce",
    "reject": "dropped",
    "open": "open",
    "click": "click",
    "spam": "spamreport",
    "unsub": "unsubscribe",
}
# Changes of Mandrill's own lists, and received emails
UNCOUNTED_TYPES = frozenset("allowlist denylist whitelist blacklist inbound".split())


def check_webhook_key(text: str) -> None:
    """Check that the text is the key of a webhook.

    Raises:
        Unusable: the text has other characters or another length, or is the public key.
    """
    if text == CHECK_KEY:
        raise Unusable("Must be the key of your webhook; test-webhook is public")
    if not OPAQUE_KEY_PATTERN.fullmatch(text):
        raise Unusable("Must be a webhook key of 8 to 255 visible ASCII characters")


def is_signed(key: str, request: WebhookRequest) -> bool:
    """Return whether the key signed the URL and the form."""
    try:
        fields = _parse_form(request.body)
    except Unusable:
        return False
    urls = {request.url, _add_credentials(request)}
    return any(_is_signed_for(key, url, fields, request) for url in urls)


def is_url_check(request: WebhookRequest) -> bool:
    """Return whether Mandrill checks a new URL, before its key exists."""
    is_empty = len(request.body) <= MAX_CHECK_BYTES and is_signed(CHECK_KEY, request)
    return is_empty and _parse_form(request.body) == [(EVENTS_FIELD, NO_EVENTS)]


def _is_signed_for(
    key: str, url: str, fields: list[tuple[bytes, bytes]], request: WebhookRequest
) -> bool:
    """Return whether the key signed the URL, and then the name and value of each field by name."""
    signed = hmac.new(key.encode(), url.encode("utf-8", "surrogatepass"), hashlib.sha1)
    for name, value in sorted(fields):
        signed.update(name)
        signed.update(value)
    sent = request.headers.get(SIGNATURE_HEADER.upper(), "")
    return hmac.compare_digest(
        base64.b64encode(signed.digest()), sent.encode("utf-8", "surrogatepass")
    )


def _add_credentials(request: WebhookRequest) -> str:
    """Return the URL with the user and password that Mandrill took from it, if it sent any."""
    scheme, _, sent = request.headers.get("AUTHORIZATION", "").partition(" ")
    protocol, separator, rest = request.url.partition("://")
    if scheme.lower() != "basic" or not separator:
        return request.url
    try:
        credentials = base64.b64decode(sent.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return request.url
    return f"{protocol}://{credentials}@{rest}"


def unwrap(body: bytes) -> bytes:
    """Return the JSON array of events in the form.

    Raises:
        Unusable: the body is not a form with such an array.
    """
    values = [value for name, value in _parse_form(body) if name == EVENTS_FIELD]
    if len(values) != 1 or values[0].lstrip()[:1] != b"[":
        raise Unusable("no form with one array `mandrill_events`")
    return values[0]


def _parse_form(body: bytes) -> list[tuple[bytes, bytes]]:
    parts = body.split(b"&", MAX_FORM_FIELDS)
    if len(parts) > MAX_FORM_FIELDS:
        raise Unusable("too many form fields")
    pairs = [part.partition(b"=") for part in parts]
    return [(_unquote(name), _unquote(value)) for name, _, value in pairs]


def _unquote(text: bytes) -> bytes:
    """Decode percent signs and pluses.

    Quoted-printable differs only in its escape character, and its decoder is written in C.
    `urllib` takes 18 times as long, because a form of JSON is full of percent signs.
    """
    text = text.replace(b"+", b" ").replace(b"=", b"%3D").replace(b"%", b"=")
    return binascii.a2b_qp(text)


def read_events(organization: bytes, item: Any) -> Sequence[EventReport]:
    """Read one event. Messages about Mandrill's lists and about received emails are no events.

    Raises:
        Unusable: the item is not a valid event.
    """
    if not isinstance(item, Mapping):
        raise Unusable("not an object")
    type_ = read_text(item, "event") or read_text(item, "type")
    if not type_:
        raise Unusable("no event type")
    if type_ in UNCOUNTED_TYPES:
        return ()
    message = read_object(item.get("msg"))
    metadata = read_object(message.get("metadata"))
    report = make_report(
        organization,
        MANDRILL_PROVIDER,
        MANDRILL_TYPES.get(type_) or name_unknown_type(MANDRILL_PROVIDER, type_),
        read_unix_time(item.get("ts")),
        address=read_text(message, "email"),
        email_ref=read_text(metadata, "email_id"),
        message_id=read_text(item, "_id") or read_text(message, "_id"),
        mailings=read_names(metadata.get("mailing"), message.get("tags")),
        url=read_text(item, "url"),
        user_agent=read_text(item, "user_agent"),
        ip=read_text(item, "ip"),
        bounce_type=BLOCKED if type_ == "soft_bounce" else read_text(message, "bounce_description"),
        machine=read_object(item.get("user_agent_parsed")).get("type") == "Robot",
    )
    return (report,)


PROVIDER = Provider(
    name=MANDRILL_PROVIDER,
    label="Mandrill (Mailchimp Transactional)",
    tag="MandrillWebhook",
    sends="Mandrill events",
    kind="emails",
    headers={SIGNATURE_HEADER: "HMAC-SHA1 of the URL and the form fields by name, in base64."},
    scheme=AuthenticityScheme("secret", check_webhook_key, is_signed),
    example="mandrill_events=%5B%7B%22event%22%3A%22click%22%2C%22ts%22%3A1775120400%2C%22_id%22"
    "%3A%227761629fa6a1%22%2C%22msg%22%3A%7B%22email%22%3A%22bob%40example.edu%22%2C%22metadata%22"
    f"%3A%7B%22email_id%22%3A%22{EXAMPLE_EMAIL_ID}%22%7D%7D%7D%5D",
    setup=(
        "In Mandrill, open Settings, Webhooks. Enter the URL exactly as it is here, and select all "
        "events. Copy the webhook's key to this page. Send each message with the metadata "
        "email_id and mailing."
    ),
    media_type=FORM_MEDIA_TYPE,
    is_url_check=is_url_check,
    unwrap=unwrap,
    max_body_bytes=MAX_BATCH_BYTES,
    read_events=read_events,
)
