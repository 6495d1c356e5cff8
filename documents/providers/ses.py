"""Amazon SES's events, which Amazon SNS delivers. Pure, except for the check of signatures.

SES has two forms: events of a configuration set (`eventType`), and the older feedback notifications
of an identity (`notificationType`). Bounces, complaints, deliveries and delays name their
recipients. Opens and clicks name the message only, so they name a recipient only if the message has
one. `ses_types.py` has the table of types.

Sources: "Contents of event data that Amazon SES publishes to Amazon SNS" and "Amazon SNS
notification contents for Amazon SES" in AWS's developer guide of SES.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from documents.errors import Unusable
from documents.providers.provider import EXAMPLE_EMAIL_ID, AuthenticityScheme, Provider
from documents.providers.report import (
    EventReport,
    make_identity,
    make_report,
    name_unknown_type,
    read_iso_time,
    read_object,
    read_text,
)
from documents.providers.ses_mail import SesMail, read_mail, read_recipients
from documents.providers.ses_types import IGNORED_TYPES, KINDS, SES_PROVIDER, SesKind, judge_event
from documents.providers.sns import (
    confirm_subscription,
    find_challenge,
    is_authentic,
    read_topics,
    unwrap,
)

EXAMPLE_TOPIC = "arn:aws:sns:us-east-1:123456789012:ses-events"
APPLE_PROXY_AGENT = "Mozilla/5.0"  # the whole user agent of Apple's Mail Privacy Protection
FEEDBACK_DIGEST_LENGTH = 16


class _Notice(NamedTuple):
    """The parts of one event of SES."""

    kind: SesKind
    detail: Mapping[str, Any]
    mail: SesMail
    at: datetime


def read_events(organization: bytes, item: Any) -> Sequence[EventReport]:
    """Read one event of SES. See `Provider.read_events`."""
    fields = read_object(item)
    type_ = read_text(fields, "eventType") or read_text(fields, "notificationType")
    if not type_:
        raise Unusable("no event type")
    if type_ in IGNORED_TYPES:
        return ()
    kind = KINDS.get(type_, SesKind("", name_unknown_type(SES_PROVIDER, type_)))
    detail, mail = read_object(fields.get(kind.detail)), read_object(fields.get("mail"))
    at = _read_time(detail.get("timestamp") or mail.get("timestamp"))
    notice = _Notice(kind, detail, read_mail(mail), at)
    recipients = _list_recipients(notice)
    return [_report(organization, notice, address, found) for address, found in recipients.items()]


def _list_recipients(notice: _Notice) -> Mapping[str, Mapping[str, Any]]:
    """Return the event's recipients; one without an address if the event does not name them."""
    kind, mail = notice.kind, notice.mail
    if kind.is_for_all:
        named = {address: read_object(None) for address in mail.recipients}
    else:
        named = read_recipients(notice.detail.get(kind.recipients)) if kind.recipients else {}
    return named or {mail.only_recipient: {}}


def _report(
    organization: bytes, notice: _Notice, address: str, recipient: Mapping[str, Any]
) -> EventReport:
    kind, detail, mail, at = notice
    type_, bounce_type = judge_event(kind, detail, recipient)
    is_by_client = kind.type in ("open", "click")  # a complaint's user agent is a provider's
    agent = read_text(detail, "userAgent") if is_by_client else None
    return make_report(
        organization,
        SES_PROVIDER,
        type_,
        at,
        address=address,
        email_ref=mail.email_ref,
        event_id=_name_feedback(organization, detail, address),
        message_id=mail.message_id,
        mailings=mail.mailings,
        url=read_text(detail, "link") if kind.type == "click" else None,
        user_agent=agent,
        ip=read_text(detail, "ipAddress") if is_by_client else None,
        bounce_type=bounce_type,
        machine=kind.type == "open" and agent == APPLE_PROXY_AGENT,
        of_several=bool(address) and len(mail.recipients) > 1,
    )


def _name_feedback(organization: bytes, detail: Mapping[str, Any], address: str) -> str | None:
    """Return an ID of a bounce or complaint of one recipient.

    SES has one ID for all recipients. A digest keeps the address out of the event's ID.
    """
    feedback = read_text(detail, "feedbackId")
    digest = make_identity(organization, address).hex()[:FEEDBACK_DIGEST_LENGTH]
    return f"{feedback}:{digest}" if feedback else None


def _read_time(value: Any) -> datetime:
    """Return a time. Some examples of SES have a space before the offset."""
    return read_iso_time(value.replace(" +", "+") if isinstance(value, str) else value)


PROVIDER = Provider(
    name=SES_PROVIDER,
    label="Amazon SES",
    tag="SesWebhook",
    sends="Amazon SES events, which Amazon SNS delivers",
    kind="emails",
    headers={},  # the signature is in the body
    scheme=AuthenticityScheme("secret", read_topics, is_authentic, example=EXAMPLE_TOPIC),
    # Raw message delivery, because the message of a signed body is JSON in a text.
    example={
        "eventType": "Click",
        "mail": {
            "timestamp": "2026-04-02T09:00:00.000Z",
            "messageId": "0100019d4c44f053-61b59c11-000000",
            "destination": ["bob@example.edu"],
            "tags": {"email_id": [EXAMPLE_EMAIL_ID]},
        },
        "click": {
            "timestamp": "2026-04-02T09:05:00.000Z",
            "link": "https://giving.example.edu/spring",
            "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X)",
            "ipAddress": "192.0.2.7",
        },
    },
    setup=(
        "In Amazon SNS, create a standard topic, enter its ARN here, and then add an HTTPS "
        "subscription with this URL; Matchback confirms it. In Amazon SES, add an SNS event "
        "destination with all event types to your configuration set. Send each message to one "
        "recipient, with the tags `email_id` and `mailing`."
    ),
    media_type="text/plain",
    find_challenge=find_challenge,
    confirm=confirm_subscription,
    unwrap=unwrap,
    read_events=read_events,
)
