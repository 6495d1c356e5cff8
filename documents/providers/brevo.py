"""Brevo (formerly Sendinblue): its credentials, and transactional and marketing events. Pure.

Brevo signs nothing. Each request carries Basic credentials, a bearer token or a header.

Sources:

- Brevo's guides "Transactional webhooks", "Marketing webhooks", "Batched webhooks" and "Secure
  webhook calls", and its help article "What is a bounce?"
- the payloads that users of django-anymail observed (its issues 344 and 385)

| event | stored | reason |
| --- | --- | --- |
| `hard_bounce`, `invalid_email` | bounce | the address does not work |
| `soft_bounce` | block | Brevo retried for 36 hours (`deferred`) and gave up |
| `blocked`, `error` | dropped | Brevo did not send it, for example to a blocklisted address |

Brevo reports the first open as `unique_opened` and later ones as `opened`. It used to report the
first open as both. Matchback then counts one, because both have the same time in seconds. An open
by Apple's or another proxy is a `proxy_open` or `unique_proxy_open`.

An event has no ID of its own: `id` is the webhook's or the account's.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from documents.errors import Unusable
from documents.providers.credentials import CREDENTIAL_HEADERS, CREDENTIAL_SCHEME
from documents.providers.provider import EXAMPLE_EMAIL_ID, Provider
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

BREVO_PROVIDER = "brevo"
# Names without underscores and in lower case, because Brevo also writes `uniqueOpened`. Payloads,
# subscriptions and exports have different names for some events.
BREVO_TYPES = {
    **dict.fromkeys("request requests sent".split(), "processed"),
    "deferred": "deferred",
    "delivered": "delivered",
    **dict.fromkeys("hardbounce hardbounced hardbounces".split(), "bounce"),
    **dict.fromkeys("invalid invalidemail".split(), "bounce"),
    **dict.fromkeys("softbounce softbounced softbounces".split(), "bounce"),
    **dict.fromkeys("blocked error".split(), "dropped"),
    **dict.fromkeys("opened open uniqueopened uniqueopen firstopening".split(), "open"),
    **dict.fromkeys("proxyopen uniqueproxyopen loadedbyproxy".split(), "open"),
    **dict.fromkeys("click clicked clicks uniqueclick".split(), "click"),
    **dict.fromkeys("spam complaint".split(), "spamreport"),
    **dict.fromkeys("unsubscribed unsubscribe".split(), "unsubscribe"),
}
SOFT_BOUNCES = frozenset("softbounce softbounced softbounces".split())
PROXY_OPENS = frozenset("proxyopen uniqueproxyopen loadedbyproxy".split())
# Changes of contacts, received emails and coupons
UNCOUNTED_TYPES = frozenset(
    "listaddition contactupdated contactdeleted contactcreated inboundemailprocessed reply "
    "uniquecouponsent".split()
)
# In this order, because later ones were observed in the account's time zone. `s_epoch` is a
# spelling in Brevo's guide. A `date` does not name its time zone, so Matchback never reads one.
TIME_FIELDS = ("ts_epoch", "s_epoch", "ts_event", "ts")
FIRST_MILLISECONDS = 10**11  # as seconds, this would be in the year 5138
MAX_CUSTOM_LENGTH = 10_000


def read_events(organization: bytes, item: Any) -> Sequence[EventReport]:
    """Read one event. Messages about contacts and received emails are no events.

    Raises:
        Unusable: the item is not a valid event.
    """
    if not isinstance(item, Mapping):
        raise Unusable("not an object")
    type_ = read_text(item, "event")
    if not type_:
        raise Unusable("no event type")
    name = "".join(filter(str.isalpha, type_)).lower()
    if name in UNCOUNTED_TYPES:
        return ()
    stored = BREVO_TYPES.get(name) or name_unknown_type(BREVO_PROVIDER, type_)
    custom = _read_custom(item)
    report = make_report(
        organization,
        BREVO_PROVIDER,
        stored,
        _read_time(item),
        address=read_text(item, "email"),
        email_ref=read_text(custom, "email_id"),
        message_id=read_text(item, "message-id"),
        mailings=_read_mailings(custom, item),
        url=read_text(item, "link") or read_text(item, "URL"),
        user_agent=read_text(item, "user_agent"),
        # not `sending_ip`, which can be Brevo's own
        ip=read_text(item, "ip"),
        bounce_type=BLOCKED if name in SOFT_BOUNCES else None,
        machine=name in PROXY_OPENS,
    )
    return (report,)


def _read_time(item: Mapping[str, Any]) -> datetime:
    """Return the time in whole seconds, so that two reports of one open have the same time."""
    for field in TIME_FIELDS:
        value = item.get(field)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value[:20])
        if isinstance(value, int | float) and not isinstance(value, bool) and value:
            seconds = value // 1000 if value >= FIRST_MILLISECONDS else value
            return read_unix_time(seconds).replace(microsecond=0)
    raise Unusable("no timestamp")


def _read_custom(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the custom values: JSON, or `name:value|name:value`, or only an email's reference."""
    text = item.get("X-Mailin-custom") or item.get("X-Mailin-Custom")
    if isinstance(text, Mapping):
        return text
    if not isinstance(text, str) or len(text) > MAX_CUSTOM_LENGTH:
        return {}
    if text.lstrip().startswith("{"):
        return read_object(_read_json(text))
    pairs = [part.partition(":") for part in text.split("|")]
    named = {name.strip(): value.strip() for name, colon, value in pairs if colon}
    return named or {"email_id": text}


def _read_json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return None


def _read_mailings(custom: Mapping[str, Any], item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the custom value, the campaign's name and the tags.

    `tag` can be a list, or the JSON of a list. Of an email from a template, it is the name of the
    template.
    """
    tags = item.get("tags")
    if not tags:
        tags = item.get("tag")
        if isinstance(tags, str) and tags.startswith("[") and len(tags) <= MAX_CUSTOM_LENGTH:
            tags = _read_json(tags)
    return read_names(custom.get("mailing"), item.get("campaign name"), tags)


PROVIDER = Provider(
    name=BREVO_PROVIDER,
    label="Brevo",
    tag="BrevoWebhook",
    sends="Brevo events",
    kind="emails",
    headers=CREDENTIAL_HEADERS,
    scheme=CREDENTIAL_SCHEME,
    example={
        "event": "click",
        "email": "bob@example.edu",
        "message-id": "<202604020900.1735069@smtp-relay.example.edu>",
        "ts_epoch": 1_775_120_400_000,
        "X-Mailin-custom": f'{{"email_id": "{EXAMPLE_EMAIL_ID}"}}',
        "tags": ["spring"],
        "link": "https://giving.example.edu/spring",
    },
    setup=(
        "Enter a secret of at least 16 characters here. In Brevo, open Transactional, Settings, "
        "Webhook. Enter the URL and the secret as its token, and select all events. Send each "
        "message with the header X-Mailin-custom, which holds JSON with email_id and mailing."
    ),
    read_events=read_events,
)
