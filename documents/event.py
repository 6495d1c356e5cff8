"""An event: one open, click, bounce or similar report about an email. Storing it counts it."""

from typing import Any

from bson import Binary, ObjectId
from mongoengine import (
    BinaryField,
    BooleanField,
    DateTimeField,
    IntField,
    ListField,
    ObjectIdField,
    StringField,
)

from documents.providers.sendgrid import TYPES, Report
from documents.rows.event import EventRow
from documents.storage.base import Document
from documents.storage.marks import due_index, unique_index

TIED_BY = {"email_id", "unmatched"}
NO_POSITION = "none"
UNMATCHED = {"unmatched": {"$type": "string"}}


class Event(Document):
    """What was reported of an email. Its id is its natural key.

    A second key, sg_event_id, is unique as well: either one that is known makes it a repetition.
    What was reported never changes; which email it is of may be learned later, and whether a
    person clicked may be judged anew.
    """

    id = BinaryField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    delivery_id = ObjectIdField(required=True)
    item = IntField(required=True)  # which one of the delivery's
    type = StringField(required=True)
    at = DateTimeField(required=True)
    address = StringField()
    sg_event_id = StringField()
    sg_message_id = StringField()
    category = ListField(StringField())
    url = StringField()
    # Of a click: which link it was, NO_POSITION where that was not reported. Earlier versions left
    # it out.
    link_position = StringField()
    user_agent = StringField()
    bounce_type = StringField()
    group = StringField()  # the unsubscribe group that was left or joined again
    machine = BooleanField()
    machine_reason = StringField()

    email_id = ObjectIdField()
    tied_by = StringField()
    clicker_id = ObjectIdField()
    # While no email is known: the folded address, the mailing that its category names, and when it
    # was stored, for it is looked at again.
    unmatched = StringField()
    mailing_id = ObjectIdField()
    fundraiser_id = ObjectIdField()
    due = DateTimeField()

    meta = {
        "collection": "events",
        "auto_create_index": False,
        "indexes": [
            unique_index("sg_event_id"),
            ["email_id", "type", "at"],
            ["delivery_id"],
            {"fields": ["organization_id", "unmatched"], "partialFilterExpression": UNMATCHED},
            {
                "fields": ["mailing_id"],
                "name": "unmatched_of_mailing",
                "partialFilterExpression": UNMATCHED,
            },
            {
                "fields": ["fundraiser_id"],
                "name": "unmatched_of_fundraiser",
                "partialFilterExpression": UNMATCHED,
            },
            due_index(),
            due_index("organization_id"),
        ],
    }


def to_row(report: Report, organization_id: ObjectId, delivery_id: ObjectId, item: int) -> EventRow:
    """The stored form of a reported event, before it is known of which email it is."""
    row = {
        "_id": Binary(report.identity),
        "organization_id": organization_id,
        "delivery_id": delivery_id,
        "item": item,
        "type": report.type,
        "at": report.at,
        "address": report.address,
        "sg_event_id": report.sg_event_id,
        "sg_message_id": report.sg_message_id,
        "category": list(report.category),
        "url": report.url,
        "link_position": (report.link_position or NO_POSITION) if report.type == "click" else None,
        "user_agent": report.user_agent,
        "bounce_type": report.bounce_type,
        "group": report.group,
        "machine": report.machine or None,
    }
    known: Any = {name: value for name, value in row.items() if value or value == 0}
    event: EventRow = known
    return event


def is_erased(event: EventRow | None) -> bool:
    """Whether the event was one of a person who was erased. A provider may send that word, too."""
    return event is not None and event["type"] == "erased" and not event.keys() & TIED_BY


def is_open(event: EventRow) -> bool:
    """By a person."""
    return event["type"] == "open" and not event.get("machine")


def is_machine_open(event: EventRow) -> bool:
    return event["type"] == "open" and bool(event.get("machine"))


def is_click(event: EventRow) -> bool:
    """By a person."""
    return event["type"] == "click" and not event.get("machine")


def is_machine_click(event: EventRow) -> bool:
    return event["type"] == "click" and bool(event.get("machine"))


def is_unknown(event: EventRow) -> bool:
    """Of a type that SendGrid does not document (yet): kept, counted as such, without effect."""
    return event["type"] not in TYPES


# What each event adds to its email; a condition on the event's row a counter.
COUNTED = {
    "opens": is_open,
    "machine_opens": is_machine_open,
    "clicks": is_click,
    "machine_clicks": is_machine_click,
    "unknown_events": is_unknown,
}

# The times an event says something about. First times by $min and last by $max, so that the
# order in which events arrive does not matter.
FIRST = {
    "processed": "sent_at",
    "deferred": "deferred_at",
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
FROM_ALL, FROM_SOME_GROUP = "all", "none"


def times(event: EventRow) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first and the last times that the event tells its email. A machine's tell none."""
    type_, at = event["type"], event["at"]
    if event.get("machine"):
        return {}, {}
    first = {FIRST[type_]: at} if type_ in FIRST else {}
    if type_ == "bounce" and event.get("bounce_type") == "blocked":
        first["blocked_at"] = at
    last = {LAST[type_]: at} if type_ in LAST else {}
    # Whoever left one group and joined another again has left, so groups are kept apart.
    if type_ == "unsubscribe":
        last[f"left.{FROM_ALL}"] = at
    elif type_ == "group_unsubscribe":
        last[f"left.{event.get('group', FROM_SOME_GROUP)}"] = at
    elif type_ == "group_resubscribe":
        last[f"back.{event.get('group', FROM_SOME_GROUP)}"] = at
    return first, last
