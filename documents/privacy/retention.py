"""Retention: dropping deliveries, events and messages that are older than the settings allow.

No counter changes.
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
from documents.event import COUNTED, is_click
from documents.message import message_keys
from documents.rows.collections import collection
from documents.rows.event import EventRow
from documents.storage.export_outbox import note
from documents.storage.transaction import in_transaction
from matchback.engine import Tx, Update

log = logging.getLogger(__name__)

A_STEP = 500
ISOLATION_SECONDS = 5.0
MOST_SKIPPED = 1000
CLICK_COUNTERS = ("clicks", "machine_clicks")

_skipped: set[Any] = set()  # events that this process cannot drop


def drop_deliveries(before: datetime) -> int:
    """Drop some that arrived before this time. One that is not tallied, or failed, is kept."""
    query = {"_id": {"$lt": ObjectId.from_datetime(before)}, "due": None, "trouble": None}
    deliveries = get_db().deliveries
    found = deliveries.find(query, {"_id": 1}).sort("_id", 1).limit(A_STEP)
    ids = [row["_id"] for row in found]
    if ids:
        deliveries.delete_many({"_id": {"$in": ids}, "due": None})
    return len(ids)


def drop_events(before: datetime) -> int:
    """Drop some whose delivery arrived before this time. Keep one that cannot be dropped."""
    oldest = ObjectId.from_datetime(before)
    batches = Batches(("old events", None), A_STEP, ISOLATION_SECONDS, note=_skip, postpone=_skip)
    return batches.take(lambda: in_transaction(_drop_events, oldest, batches))


def _skip(source: str, id_: Any, error: Exception) -> None:
    """Leave the event out until this process ends, or too many are left out."""
    log.error("%s %s cannot be dropped: %s", source, id_.hex(), retries.describe(error))
    if len(_skipped) >= MOST_SKIPPED:
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
        archive(tx, events)
        ids = [event["_id"] for event in events]
        tx.database.events.delete_many({"_id": {"$in": ids}}, session=tx.session)
        _drop_messages(tx, events)
        note(tx, {"events": ids})
    return len(events)


def _drop_messages(tx: Tx, dropped: Sequence[EventRow]) -> None:
    """Drop what emails were known by to their provider, once no event of theirs is left.

    Only an event that comes later than events are kept would have needed it, to find its email.
    """
    of_emails = {event["email_id"] for event in dropped if "email_id" in event}
    query = {"email_id": {"$in": list(of_emails)}}
    events = tx.database.events
    left = set(events.distinct("email_id", query, session=tx.session)) if of_emails else set()
    gone = [event for event in dropped if event.get("email_id") in of_emails - left]
    if keys := {key for event in gone for key in message_keys(event)}:
        tx.database.messages.delete_many({"_id": {"$in": list(keys)}}, session=tx.session)


def archive(tx: Tx, events: Iterable[EventRow]) -> None:
    """Let archives count what these events count, which are to go in the same transaction."""
    updates: defaultdict[ObjectId, Update] = defaultdict(Update)
    for event in events:
        name = next((name for name, counts in COUNTED.items() if counts(event)), None)
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
