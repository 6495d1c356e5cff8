"""Retention: deletion of deliveries, events and messages that exceed the age in the settings.

No counter changes, because archives keep the counts.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import get_db
from pymongo import UpdateOne

from documents.concurrency import retries
from documents.concurrency.batches import Batches
from documents.counters import CLICK_COUNTERS
from documents.event import EVENT_COUNTER_CONDITIONS, is_click
from documents.rows.collections import collection
from documents.rows.event import EventRow
from documents.storage.export_outbox import note_writes
from documents.storage.transaction import in_transaction
from matchback.engine import Tx, Update

log = logging.getLogger(__name__)

DROPPED_RECORDS_PER_STEP = 500
DROPPED_DELIVERIES_PER_STEP = 1_000  # of outgoing events, which can be a thousand a second
RETENTION_ISOLATION_SECONDS = 5.0
MAX_SKIPPED_EVENTS = 1000

_skipped: set[Any] = set()  # events that this process cannot drop


def drop_deliveries(before: datetime) -> int:
    """Drop some deliveries from before a time. Return how many.

    Keep unprocessed and failed deliveries.
    """
    return _drop_old("deliveries", before, "due", trouble=None)


def drop_shared_posts(before: datetime) -> int:
    """Drop some unrouted items from before a time. Return the number of their posts.

    Keep posts that are due or failed.
    """
    return _drop_old("shared_posts", before, "due", trouble=None)


def drop_event_deliveries(before: datetime) -> int:
    """Drop some deliveries of outgoing events from before a time. Return how many.

    Keep those that wait.
    """
    return _drop_old("event_deliveries", before, "next_attempt_at", DROPPED_DELIVERIES_PER_STEP)


def _drop_old(
    source: str, before: datetime, mark: str, number: int = DROPPED_RECORDS_PER_STEP, **more: None
) -> int:
    """Drop some records from before a time that lack the mark of waiting, and the other fields."""
    query = {"_id": {"$lt": ObjectId.from_datetime(before)}, mark: None, **more}
    records = get_db()[source]
    ids = [row["_id"] for row in records.find(query, {"_id": 1}).sort("_id", 1).limit(number)]
    if ids:
        records.delete_many({"_id": {"$in": ids}, mark: None})
    return len(ids)


def drop_events(before: datetime) -> int:
    """Drop some events of deliveries from before a time. Return how many.

    Skip events that cannot be dropped.
    """
    oldest = ObjectId.from_datetime(before)
    batches = Batches(
        ("old events", None),
        DROPPED_RECORDS_PER_STEP,
        RETENTION_ISOLATION_SECONDS,
        note=_skip,
        postpone=_skip,
    )
    return batches.take(lambda: in_transaction(_drop_events, oldest, batches))


def _skip(source: str, id_: Any, error: Exception) -> None:
    """Skip the event until this process ends, or until the list of skipped events is full."""
    log.error("%s %s cannot be dropped: %s", source, id_.hex(), retries.describe_error(error))
    if len(_skipped) >= MAX_SKIPPED_EVENTS:
        _skipped.clear()
    _skipped.add(id_)


def _drop_events(tx: Tx, before: ObjectId, run: Batches) -> int:
    run.taken = []
    query = {"delivery_id": {"$lt": before}, "_id": {"$nin": list(_skipped)}}
    events = list(
        collection(tx.database, EventRow).find(query, session=tx.session).limit(run.limit)
    )
    run.taken = [("events", event["_id"]) for event in events]
    if events:
        archive_events(tx, events)
        ids = [event["_id"] for event in events]
        tx.database.events.delete_many({"_id": {"$in": ids}}, session=tx.session)
        _drop_messages(tx, events)
        note_writes(tx, {"events": ids})
    return len(events)


def _drop_messages(tx: Tx, dropped: Sequence[EventRow]) -> None:
    """Drop the provider's message IDs of emails without remaining events.

    Only an event that arrives after the retention time would need them to find its email.
    """
    of_emails = {event["email_id"] for event in dropped if "email_id" in event}
    if not of_emails:
        return
    query = {"email_id": {"$in": list(of_emails)}}
    gone = of_emails - set(tx.database.events.distinct("email_id", query, session=tx.session))
    tx.database.messages.delete_many({"email_id": {"$in": list(gone)}}, session=tx.session)


def archive_events(tx: Tx, events: Iterable[EventRow]) -> None:
    """Add the counts of these events to archives. The caller's transaction drops the events."""
    updates: defaultdict[ObjectId, Update] = defaultdict(Update)
    for event in events:
        name = next(
            (name for name, counts in EVENT_COUNTER_CONDITIONS.items() if counts(event)), None
        )
        if name is None or "email_id" not in event:
            continue
        _count(updates[event["email_id"]], "email_id", event, name)
        if is_click(event):
            update, at = updates[event["email_id"]], event["at"]
            update.minimum({"first_clicked_at": at}).maximum({"last_clicked_at": at})
        if name in CLICK_COUNTERS and "clicker_id" in event:
            _count(updates[event["clicker_id"]], "clicker_id", event, name)
    if updates:
        tx.database.archives.bulk_write(
            [
                UpdateOne({"_id": id_}, update.operators, upsert=True)
                for id_, update in updates.items()
            ],
            ordered=False,
            session=tx.session,
        )


def _count(update: Update, link: str, event: EventRow, name: str) -> None:
    of = {"organization_id": event["organization_id"], link: event.get(link)}
    update.set_on_insert(of).increment({name: 1})
