"""One open, click, bounce, … of an email: stored once for ever, and counted by being stored."""

from typing import Any

from bson import Binary, ObjectId
from mongoengine import (
    BinaryField,
    BooleanField,
    DateTimeField,
    Document,
    ListField,
    ObjectIdField,
    StringField,
)

from documents.engine.contribution import Row
from documents.record import unique_index
from documents.sendgrid import TYPES, Report


class Event(Document):
    """What was reported of an email. Never changed; its id is its natural key.

    A second key, sg_event_id, is unique as well: either one that is known makes it a repetition.
    """

    id = BinaryField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    delivery_id = ObjectIdField(required=True)
    type = StringField(required=True)
    at = DateTimeField(required=True)
    email_id = ObjectIdField()  # none: it could not be tied to an email
    address = StringField()
    sg_event_id = StringField()
    sg_message_id = StringField()
    category = ListField(StringField())
    url = StringField()
    user_agent = StringField()
    bounce_type = StringField()
    machine = BooleanField()

    meta = {
        "collection": "events",
        "auto_create_index": False,
        "indexes": [unique_index("sg_event_id"), ["email_id", "type"], ["delivery_id"]],
    }


def _is_open(machine: bool) -> Any:
    return lambda event: event["type"] == "open" and bool(event.get("machine")) is machine


# What each event adds to its email; a condition on the event's row a counter.
COUNTED_TYPES = {
    "opens": _is_open(machine=False),
    "machine_opens": _is_open(machine=True),
    "clicks": lambda event: event["type"] == "click",
}

# The times an event says something about. First times by $min and last by $max, so that the
# order in which events arrive does not matter.
FIRST = {
    "processed": "sent_at",
    "delivered": "delivered_at",
    "bounce": "bounced_at",
    "dropped": "dropped_at",
    "spamreport": "spam_reported_at",
    "open": "first_opened_at",
    "click": "first_clicked_at",
}
LAST = {
    "open": "last_opened_at",
    "click": "last_clicked_at",
    "unsubscribe": "unsubscribed_at",
    "group_unsubscribe": "unsubscribed_at",
    "group_resubscribe": "resubscribed_at",
}


def to_row(
    report: Report, organization_id: ObjectId, delivery_id: ObjectId, email_id: ObjectId | None
) -> Row:
    """The stored form of a reported event."""
    row = {
        "_id": Binary(report.identity),
        "organization_id": organization_id,
        "delivery_id": delivery_id,
        "type": report.type,
        "at": report.at,
        "email_id": email_id,
        "address": report.address,
        "sg_event_id": report.sg_event_id,
        "sg_message_id": report.sg_message_id,
        "category": list(report.category),
        "url": report.url,
        "user_agent": report.user_agent,
        "bounce_type": report.bounce_type,
        "machine": report.machine or None,
    }
    return {name: value for name, value in row.items() if value not in (None, [], "")}


def times(event: Row) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first and the last times that the event tells its email. A machine's open tells none."""
    if event["type"] == "open" and event.get("machine"):
        return {}, {}
    first, last = FIRST.get(event["type"]), LAST.get(event["type"])
    return ({first: event["at"]} if first else {}), ({last: event["at"]} if last else {})


def is_known(event: Row) -> bool:
    """Whether SendGrid documents this type; others are kept and have no effect yet."""
    return event["type"] in TYPES
