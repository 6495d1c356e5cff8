"""Mailgun's webhooks. Pure.

Sources: Mailgun's user manual ("Webhook Payloads", "Events", "Open and Click Bot Detection"), and
django-anymail's tests.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from documents.errors import Unusable
from documents.providers.mailgun_failures import classify_failure
from documents.providers.mailgun_signature import check_signing_key, is_signed
from documents.providers.provider import EXAMPLE_EMAIL_ID, AuthenticityScheme, Provider
from documents.providers.recipients import read_sole_address
from documents.providers.report import (
    MAX_MAILING_NAMES,
    EventReport,
    make_report,
    name_unknown_type,
    read_object,
    read_text,
    read_texts,
    read_unix_time,
)

NAME = "mailgun"
TYPES = {
    "accepted": "processed",
    "rejected": "dropped",
    "delivered": "delivered",
    "opened": "open",
    "clicked": "click",
    "unsubscribed": "unsubscribe",
    "complained": "spamreport",
}
# Incoming messages, and changes of Mailgun's own mailing lists
UNCOUNTED_TYPES = frozenset(
    "stored list_member_uploaded list_member_upload_error list_uploaded".split()
)
ALL_TAGS = "*"  # the tag of an unsubscription from the whole domain


def read_events(organization: bytes, item: Any) -> Sequence[EventReport]:
    """Read one webhook payload.

    Raises:
        Unusable: the payload is invalid.
    """
    data = read_object(read_object(item).get("event-data"))
    mailgun_type = read_text(data, "event")
    if not mailgun_type:
        raise Unusable("no event type")
    if mailgun_type in UNCOUNTED_TYPES:
        return ()
    return [_make_report(organization, mailgun_type, data)]


def _make_report(organization: bytes, mailgun_type: str, data: Mapping[str, Any]) -> EventReport:
    at = read_unix_time(data.get("timestamp"))
    type_, bounce_type = _classify(mailgun_type, data)
    variables = _read_variables(data.get("user-variables"))
    client, id_ = read_object(data.get("client-info")), read_text(data, "id")
    return make_report(
        organization,
        NAME,
        type_,
        at,
        address=_read_address(mailgun_type, data),
        email_ref=read_text(variables, "email_id"),
        # Mailgun's IDs are unique within a day, so add the time.
        event_id=id_ and f"{id_}:{at.timestamp():.3f}",
        message_id=(read_text(_read_headers(data), "message-id") or "").strip("<>") or None,
        mailings=_read_mailings(variables, data),
        url=read_text(data, "url"),
        user_agent=read_text(client, "user-agent"),
        ip=read_text(data, "ip"),
        bounce_type=bounce_type,
        machine=bool(read_text(client, "bot")),
    )


def _classify(mailgun_type: str, data: Mapping[str, Any]) -> tuple[str, str | None]:
    if mailgun_type == "failed":
        return classify_failure(data)
    return TYPES.get(mailgun_type) or name_unknown_type(NAME, mailgun_type), None


def _read_address(mailgun_type: str, data: Mapping[str, Any]) -> str:
    """Return the recipient. A rejected message can name it in its header only."""
    address = read_sole_address(data.get("recipient"))
    if address or mailgun_type != "rejected":
        return address
    return read_sole_address(_read_headers(data).get("to"))


def _read_headers(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return read_object(read_object(data.get("message")).get("headers"))


def _read_variables(value: Any) -> Mapping[str, Any]:
    """Return the user variables. They, and each of them, can be JSON in a text."""
    variables = read_object(_decode_json(value))
    return {name: _decode_json(variables.get(name)) for name in ("email_id", "mailing")}


def _decode_json(value: Any) -> Any:
    """Return the content of a JSON text, array or object in a text. Otherwise, return the value."""
    if not isinstance(value, str) or not value.lstrip().startswith(('"', "[", "{")):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        return value


def _read_mailings(variables: Mapping[str, Any], data: Mapping[str, Any]) -> Sequence[str]:
    tags = [tag for tag in read_texts(data.get("tags")) if tag != ALL_TAGS]
    campaigns = data.get("campaigns")
    listed = campaigns[:MAX_MAILING_NAMES] if isinstance(campaigns, list) else []
    named = [read_text(read_object(one), name) for one in listed for name in ("id", "name")]
    names = [*read_texts(variables.get("mailing")), *tags, *filter(None, named)]
    return list(dict.fromkeys(names))


PROVIDER = Provider(
    name=NAME,
    label="Mailgun",
    tag="MailgunWebhook",
    sends="a Mailgun event",
    kind="emails",
    headers={},  # the signature is in the body
    scheme=AuthenticityScheme("secret", check_signing_key, is_signed),
    example={
        "signature": {"timestamp": "1775120401", "token": "7e5a0c", "signature": "12d99f5a"},
        "event-data": {
            "event": "clicked",
            "id": "A9dLUrCXQjK92TlnW3zkIA",
            "timestamp": 1_775_120_400.664,
            "recipient": "bob@example.edu",
            "url": "https://giving.example.edu/spring",
            "client-info": {"user-agent": "Mozilla/5.0 (iPhone)", "bot": None},
            "message": {"headers": {"message-id": "20260402.8e3a@mail.example.edu"}},
            "user-variables": {"email_id": EXAMPLE_EMAIL_ID},
        },
    },
    setup=(
        "In Mailgun, open Send → Sending → Webhooks, add this URL for all event types, and paste "
        "the HTTP webhook signing key here. For subaccounts, paste the primary account's key. "
        "Send the variables `v:email_id` and `v:mailing` with each message."
    ),
    read_events=read_events,
)
