"""Event: one open, click, bounce or similar report about an email. Storing an event counts it."""

import hashlib
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

from documents.providers.report import BLOCKED, EVENT_TYPES, EventReport
from documents.rows.event import EventRow
from documents.storage.base import Document
from documents.storage.marks import due_index

TIE_FIELDS = {"email_id", "unmatched"}
USUAL_TIE = "email_id"
REPORT_KEY_BYTES = 12
REPORT_KEY_PREFIX = b"sg_event_id"  # part of stored keys, from when SendGrid was the only provider
# Facts that find the email of an event. An event with an email does not need them.
FINDING_FIELDS = ("address", "message_id", "sg_message_id", "category", "names_email")
RARE_FACTS = ("address", "message_id", "url", "bounce_type", "group", "machine")
NO_LINK_POSITION = "none"
UNMATCHED_FILTER = {"unmatched": {"$type": "string"}}


class Event(Document):
    """A report about an email. Its ID is its natural key.

    `report_key` is unique as well. An event is a repetition if either key is known.

    A stored report never changes. Its email may be found later, and a click's label may change.
    It has only fields that a reader needs; the stored post has the others.
    """

    id = BinaryField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    delivery_id = ObjectIdField(required=True)
    item = IntField(required=True)  # index of the event in its delivery
    type = StringField(required=True)
    at = DateTimeField(required=True)
    # digest of the provider's ID, if it gave one; see make_report_key
    report_key = ObjectIdField()
    url = StringField()
    # Only on clicks: the position of the link in the message, or NO_LINK_POSITION if unknown.
    # Clicks that earlier versions stored lack it.
    link_position = StringField()
    user_agent = StringField()  # only on clicks
    bounce_type = StringField()
    group = StringField()  # unsubscribe group that the user left or rejoined
    machine = BooleanField()
    machine_reason = StringField()

    email_id = ObjectIdField()
    tied_by = StringField()  # "email_id" if the event has an email and lacks this field
    clicker_id = ObjectIdField()
    # Only on unmatched events: facts that can find the email, the folded address, the mailing that
    # the category names, and the time of storing. A later run looks for the email again.
    address = StringField()
    message_id = StringField()
    category = ListField(StringField())
    # only on bounces: the provider reported an `email_id`, which names no email of the organization
    names_email = BooleanField()
    unmatched = StringField()
    mailing_id = ObjectIdField()
    fundraiser_id = ObjectIdField()
    due = DateTimeField()
    # Only until the migrations of events have finished; see tracking/former_rows.py.
    sg_event_id = StringField()
    sg_message_id = StringField()

    meta = {
        "collection": "events",
        "auto_create_index": False,
        "indexes": [
            {
                "fields": ["organization_id", "report_key"],
                "unique": True,
                "partialFilterExpression": {"report_key": {"$exists": True}},
            },
            ["email_id", "type", "at"],
            ["delivery_id"],
            {
                "fields": ["organization_id", "unmatched"],
                "partialFilterExpression": UNMATCHED_FILTER,
            },
            {
                "fields": ["mailing_id"],
                "name": "unmatched_of_mailing",
                "partialFilterExpression": UNMATCHED_FILTER,
            },
            {
                "fields": ["fundraiser_id"],
                "name": "unmatched_of_fundraiser",
                "partialFilterExpression": UNMATCHED_FILTER,
            },
            due_index(),
            due_index("organization_id"),
        ],
    }


def make_report_key(organization_id: ObjectId, provider_event_id: str) -> ObjectId:
    """Return the key of a provider's ID of an event, within the organization.

    A digest takes a third of the space of the ID in rows, and less in its index.
    """
    named = organization_id.binary + REPORT_KEY_PREFIX + provider_event_id.encode()
    return ObjectId(hashlib.blake2b(named, digest_size=REPORT_KEY_BYTES).digest())


def to_event_row(
    report: EventReport, organization_id: ObjectId, delivery_id: ObjectId, item: int
) -> EventRow:
    """Return the stored form of a reported event whose email is not known yet."""
    row: Any = {
        "_id": Binary(report.identity),
        "organization_id": organization_id,
        "delivery_id": delivery_id,
        "item": item,
        "type": report.type,
        "at": report.at,
    }
    if report.provider_event_id:
        row["report_key"] = make_report_key(organization_id, report.provider_event_id)
    if report.type == "click":
        row["link_position"] = report.link_position or NO_LINK_POSITION
        if report.user_agent:
            row["user_agent"] = report.user_agent
    for name in RARE_FACTS:
        if value := getattr(report, name):
            row[name] = value
    if report.category:
        row["category"] = list(report.category)
    if report.type == "bounce" and report.email_ref:
        row["names_email"] = True
    event: EventRow = row
    return event


def drop_unread_fields(event: EventRow, *, keeps_tie: bool = False) -> None:
    """Remove the fields that no reader needs, after the event's email is known or not found.

    Args:
        keeps_tie: keep `tied_by` always, because a reader of an earlier version may need it.
    """
    if event["type"] != "click":
        event.pop("user_agent", None)
    if "email_id" in event:
        for name in FINDING_FIELDS:
            event.pop(name, None)  # type: ignore[misc]
        if event.get("tied_by") == USUAL_TIE and not keeps_tie:
            del event["tied_by"]


def is_erased_event(event: EventRow | None) -> bool:
    """Return whether erasure emptied the event.

    The tie fields distinguish it from a provider's event of the type `erased`.
    """
    return event is not None and event["type"] == "erased" and not event.keys() & TIE_FIELDS


def is_open(event: EventRow) -> bool:
    """Return whether the event is an open by a person."""
    return event["type"] == "open" and not event.get("machine")


def is_machine_open(event: EventRow) -> bool:
    return event["type"] == "open" and bool(event.get("machine"))


def is_click(event: EventRow) -> bool:
    """Return whether the event is a click by a person."""
    return event["type"] == "click" and not event.get("machine")


def is_machine_click(event: EventRow) -> bool:
    return event["type"] == "click" and bool(event.get("machine"))


def is_unknown_type(event: EventRow) -> bool:
    """Return whether Matchback does not know the type. Such events only count as unknown."""
    return event["type"] not in EVENT_TYPES


# Each counter of an email, with the condition on an event's row.
EVENT_COUNTER_CONDITIONS = {
    "opens": is_open,
    "machine_opens": is_machine_open,
    "clicks": is_click,
    "machine_clicks": is_machine_click,
    "unknown_events": is_unknown_type,
}

# Times that an event sets on its email. $min writes first times and $max writes last times, so the
# order of events does not matter.
FIRST_TIME_FIELDS = {
    "processed": "sent_at",
    "deferred": "deferred_at",
    "delivered": "delivered_at",
    "bounce": "bounced_at",
    "dropped": "dropped_at",
    "spamreport": "spam_reported_at",
    "open": "first_opened_at",
    "click": "first_clicked_at",
}
LAST_TIME_FIELDS = {
    "open": "last_opened_at",
    "click": "last_clicked_at",
    "unsubscribe": "unsubscribed_at",
    "group_unsubscribe": "unsubscribed_at",
    "resubscribe": "resubscribed_at",
    "group_resubscribe": "resubscribed_at",
}
ALL_GROUPS, UNNAMED_GROUP = "all", "none"


def read_event_times(event: EventRow) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the first and last times that the event sets on its email.

    A machine's event sets none.
    """
    type_, at = event["type"], event["at"]
    if event.get("machine"):
        return {}, {}
    first = {FIRST_TIME_FIELDS[type_]: at} if type_ in FIRST_TIME_FIELDS else {}
    if type_ == "bounce" and event.get("bounce_type") == BLOCKED:
        first["blocked_at"] = at
    last = {LAST_TIME_FIELDS[type_]: at} if type_ in LAST_TIME_FIELDS else {}
    # A user who leaves one group and rejoins another has still left one. So each group has its
    # own time.
    if type_ == "unsubscribe":
        last[f"left.{ALL_GROUPS}"] = at
    elif type_ == "resubscribe":
        last[f"back.{ALL_GROUPS}"] = at
    elif type_ == "group_unsubscribe":
        last[f"left.{event.get('group', UNNAMED_GROUP)}"] = at
    elif type_ == "group_resubscribe":
        last[f"back.{event.get('group', UNNAMED_GROUP)}"] = at
    return first, last
