"""Types of Amazon SES's events, and what each means to Matchback. Pure.

| SES | Matchback |
| --- | --- |
| Send | processed |
| Delivery | delivered |
| DeliveryDelay | deferred |
| Bounce: a recipient with the action `delayed` | deferred |
| Reject, Rendering Failure | dropped |
| Bounce or Complaint because of a suppression list | dropped |
| Bounce: Permanent | bounce: the address does not work |
| Bounce: Undetermined, or Transient after the last attempt | bounce, as a block |
| Bounce: Transient, General, without a delivery status: an automatic reply | unknown: no bounce |
| Complaint | spamreport |
| Complaint: `not-spam` or `auth-failure`, because no person complained | unknown |
| Open, Click | open, click |
| Subscription | unsubscribe or resubscribe |

Source: "Amazon SNS notification contents for Amazon SES" in AWS's developer guide of SES.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from documents.providers.report import BLOCKED, name_unknown_type, read_object, read_text

SES_PROVIDER = "ses"
# SES sends the first type to a new topic of feedback notifications, and the second type for each
# email that it receives.
IGNORED_TYPES = frozenset({"AmazonSnsSubscriptionSucceeded", "Received"})
# SES does not send to these addresses. The names are subtypes of bounces and of complaints.
SUPPRESSED_SUBTYPES = frozenset(
    "Suppressed OnAccountSuppressionList OnTenantSuppressionList EmailValidationSuppressed "
    "UnsubscribedRecipient".split()
)
ALL_TOPICS = ""
NO_COMPLAINTS = frozenset({"not-spam", "auth-failure"})


class SesKind(NamedTuple):
    """A type of Amazon SES.

    Attributes:
        detail: name of its object.
        type: stored type.
        recipients: name of its list of recipients, in the object.
        is_for_all: whether it is about all recipients of the message.
    """

    detail: str
    type: str
    recipients: str | None = None
    is_for_all: bool = False


KINDS = {
    "Send": SesKind("send", "processed", is_for_all=True),
    "Delivery": SesKind("delivery", "delivered", "recipients"),
    "DeliveryDelay": SesKind("deliveryDelay", "deferred", "delayedRecipients"),
    "Bounce": SesKind("bounce", "bounce", "bouncedRecipients"),
    "Complaint": SesKind("complaint", "spamreport", "complainedRecipients"),
    "Reject": SesKind("reject", "dropped", is_for_all=True),
    "Rendering Failure": SesKind("failure", "dropped", is_for_all=True),
    "Open": SesKind("open", "open"),
    "Click": SesKind("click", "click"),
    "Subscription": SesKind("subscription", "unsubscribe"),
}


def judge_event(
    kind: SesKind, detail: Mapping[str, Any], recipient: Mapping[str, Any]
) -> tuple[str, str | None]:
    """Return the stored type and the bounce type of an event about a recipient.

    Args:
        detail: the object of the event's kind, such as `bounce`.
        recipient: the recipient's object in it; empty if the event names no recipient.
    """
    if kind.type == "bounce":
        return _judge_bounce(detail, recipient)
    if kind.type == "spamreport":
        return _judge_complaint(detail), None
    if kind.type == "unsubscribe":
        return _judge_subscription(detail), None
    return kind.type, None


def _judge_bounce(
    bounce: Mapping[str, Any], recipient: Mapping[str, Any]
) -> tuple[str, str | None]:
    type_, subtype = read_text(bounce, "bounceType"), read_text(bounce, "bounceSubType")
    name = f"{type_}/{subtype}"
    if recipient.get("action") == "delayed":
        return "deferred", None
    if subtype in SUPPRESSED_SUBTYPES:
        return "dropped", name
    if type_ == "Permanent":
        return "bounce", name
    # These fields exist only if a delivery status notification was attached.
    has_status = bounce.get("reportingMTA") or any(
        recipient.get(field) for field in ("action", "status", "diagnosticCode")
    )
    if name == "Transient/General" and not has_status:
        # SES reports automatic replies, such as out of office, as this type. The message arrived.
        return name_unknown_type(SES_PROVIDER, "AutomaticReply"), None
    return "bounce", BLOCKED


def _judge_complaint(complaint: Mapping[str, Any]) -> str:
    if (read_text(complaint, "complaintSubType") or "").strip() in SUPPRESSED_SUBTYPES:
        return "dropped"
    feedback = read_text(complaint, "complaintFeedbackType")
    if feedback in NO_COMPLAINTS:
        return name_unknown_type(SES_PROVIDER, feedback)
    return "spamreport"


def _judge_subscription(subscription: Mapping[str, Any]) -> str:
    new, old = (
        _read_left_topics(read_object(subscription.get(name)))
        for name in ("newTopicPreferences", "oldTopicPreferences")
    )
    if new == old or ALL_TOPICS in new & old:
        return name_unknown_type(SES_PROVIDER, "Subscription")
    return "unsubscribe" if new - old and ALL_TOPICS not in old else "resubscribe"


def _read_left_topics(preferences: Mapping[str, Any]) -> set[str]:
    """Return the topics that a person left."""
    topics = preferences.get("topicSubscriptionStatus")
    left = {ALL_TOPICS} if preferences.get("unsubscribeAll") is True else set()
    for topic in map(read_object, topics if isinstance(topics, list) else ()):
        status = (read_text(topic, "subscriptionStatus") or "").replace("_", "").lower()
        if status == "optout":
            left.add(read_text(topic, "topicName") or "?")
    return left
