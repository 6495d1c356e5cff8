"""Resend's webhooks. Pure.

Resend signs as Svix does: Standard Webhooks with other header names. Svix signs each retry again.

| event                                                               | stored          |
| ------------------------------------------------------------------- | --------------- |
| bounced, Permanent: the address does not work                       | bounce          |
| bounced, Permanent, but Suppressed or OnAccountSuppressionList      | dropped         |
| bounced, Transient or Undetermined: Resend has stopped its attempts | bounce, blocked |
| delivery_delayed                                                    | deferred        |
| suppressed, failed                                                  | dropped         |

An event can list all recipients of the message. Only the header `svix-id` has the event's ID, and
Matchback stores the body only. So the facts identify the event.
Sources: Resend's documentation ("Event Types", "Verify Webhooks Requests", "Email Bounces",
"Retries and Replays"), the `resend` package for Node.js, and django-anymail's tests.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from documents.errors import Unusable
from documents.providers.provider import EXAMPLE_EMAIL_ID, AuthenticityScheme, Provider
from documents.providers.recipients import read_sole_address
from documents.providers.report import (
    BLOCKED,
    EventReport,
    clean_text,
    make_report,
    name_unknown_type,
    read_iso_time,
    read_object,
    read_text,
    read_texts,
)
from documents.providers.svix import SVIX_HEADERS, check_secret, is_signed

NAME = "resend"
TYPES = {
    "email.sent": "processed",
    "email.delivered": "delivered",
    "email.delivery_delayed": "deferred",
    "email.delivered_delayed": "deferred",  # as older documentation spells it
    "email.bounced": "bounce",
    "email.complained": "spamreport",
    "email.opened": "open",
    "email.clicked": "click",
    "email.failed": "dropped",
    "email.suppressed": "dropped",
}
# A scheduled message is not sent yet, and a received one is another person's.
UNCOUNTED_TYPES = frozenset({"email.scheduled", "email.received"})
UNCOUNTED_PREFIXES = ("contact.", "domain.", "suppression.", "inbox.")
SUPPRESSED_SUBTYPES = frozenset({"Suppressed", "OnAccountSuppressionList"})
CUSTOM_TAGS = ("email_id", "mailing")


def read_events(organization: bytes, item: Any) -> Sequence[EventReport]:
    """Read one webhook payload.

    Raises:
        Unusable: the payload is invalid.
    """
    item = read_object(item)
    resend_type = read_text(item, "type")
    if not resend_type:
        raise Unusable("no event type")
    if resend_type in UNCOUNTED_TYPES or resend_type.startswith(UNCOUNTED_PREFIXES):
        return ()
    return [_make_report(organization, resend_type, item)]


def _make_report(organization: bytes, resend_type: str, item: Mapping[str, Any]) -> EventReport:
    data = read_object(item.get("data"))
    click, headers = read_object(data.get("click")), _read_pairs(data.get("headers"))
    type_, bounce_type = _classify(resend_type, data)
    custom, mailings = _read_custom_values(data, headers)
    return make_report(
        organization,
        NAME,
        type_,
        read_iso_time(read_text(click, "timestamp") or item.get("created_at")),
        address=_read_address(data, headers),
        email_ref=read_text(custom, "email_id"),
        message_id=read_text(data, "email_id"),
        mailings=mailings,
        url=read_text(click, "link"),
        user_agent=read_text(click, "userAgent"),
        ip=read_text(click, "ipAddress"),
        bounce_type=bounce_type,
    )


def _classify(resend_type: str, data: Mapping[str, Any]) -> tuple[str, str | None]:
    if resend_type != "email.bounced":
        return TYPES.get(resend_type) or name_unknown_type(NAME, resend_type), None
    bounce = read_object(data.get("bounce"))
    kind, subtype = (read_text(bounce, name) for name in ("type", "subType"))
    if subtype in SUPPRESSED_SUBTYPES:
        return "dropped", None
    # Older payloads have no type. Resend then reported permanent bounces only.
    return "bounce", kind or "Permanent" if kind in (None, "Permanent") else BLOCKED


def _read_address(data: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """Return the only recipient; empty if the message has others in copy."""
    copies = ("cc", "bcc")
    if any(data.get(name) or headers.get(name) for name in copies):
        return ""
    return read_sole_address(data.get("to"))


def _read_custom_values(
    data: Mapping[str, Any], headers: Mapping[str, str]
) -> tuple[Mapping[str, Any], Sequence[str]]:
    """Return the custom values and the names of mailings.

    They are in tags. `X-Metadata` and `X-Tags` are the headers that django-anymail sends.
    """
    tags = _read_pairs(data.get("tags"))
    custom = {**read_object(_decode_json(headers.get("x-metadata"))), **tags}
    names = [
        *read_texts(custom.get("mailing")),
        *(clean_text(text) for name, text in tags.items() if name not in CUSTOM_TAGS),
        *read_texts(_decode_json(headers.get("x-tags"))),
        *filter(None, [read_text(data, "broadcast_id")]),
    ]
    return custom, list(dict.fromkeys(names))


def _read_pairs(value: Any) -> dict[str, str]:
    """Return the texts of an object, or of a list of objects with a name and a value."""
    if isinstance(value, list):
        objects = [read_object(one) for one in value]
        pairs = [(one.get("name"), one.get("value")) for one in objects]
    else:
        pairs = list(read_object(value).items())
    return {
        name.lower(): text
        for name, text in pairs
        if isinstance(name, str) and isinstance(text, str) and text
    }


def _decode_json(text: str | None) -> Any:
    try:
        return orjson.loads(text) if text else None
    except ValueError:
        return None


PROVIDER = Provider(
    name=NAME,
    label="Resend",
    tag="ResendWebhook",
    sends="a Resend event",
    kind="emails",
    headers=SVIX_HEADERS,
    scheme=AuthenticityScheme("secret", check_secret, is_signed),
    example={
        "type": "email.clicked",
        "created_at": "2026-04-02T09:00:00.126Z",
        "data": {
            "email_id": "56761188-7520-42d8-8898-ff6fc54ce618",
            "to": ["bob@example.edu"],
            "click": {
                "link": "https://giving.example.edu/spring",
                "timestamp": "2026-04-02T09:00:00.126Z",
                "userAgent": "Mozilla/5.0 (iPhone)",
            },
            "tags": {"email_id": EXAMPLE_EMAIL_ID},
        },
    },
    setup=(
        "In Resend, open Webhooks, add this URL for all email events, and paste the webhook's "
        "signing secret here. Send the tags `email_id` and `mailing` with each message, and one "
        "recipient in each message."
    ),
    read_events=read_events,
)
