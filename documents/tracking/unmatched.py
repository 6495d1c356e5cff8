"""Unmatched events: stored before their email was known, and tied to it afterwards.

The later transaction ties them. A transaction that makes an email known searches for unmatched
events. A transaction that stores an event first searches for its email.

If both run at once, neither may see the other. So each unmatched event is due. A worker checks it
again after all transactions of that time have ended.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from bson import ObjectId

from documents.event import drop_unread_fields
from documents.message import store_new_messages
from documents.people.spellings import list_all_address_keys
from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.rows.user import UserRow
from documents.storage.export_outbox import note_writes
from documents.storage.marks import DUE_FILTER, build_text_condition
from documents.tracking.correlation import Correlation
from documents.tracking.recent_emails import names_only_address
from documents.values.address import to_canonical
from documents.values.time import now
from matchback.engine import Changes, Tx, add

TIED_EVENTS_PER_BATCH = 500
# By default, MongoDB ends a transaction after 60 seconds.
UNMATCHED_RETRY_INTERVAL = timedelta(seconds=70)
UNMATCHED_EVENT_FIELDS: tuple[Literal["unmatched", "mailing_id", "fundraiser_id", "due"], ...] = (
    "unmatched",
    "mailing_id",
    "fundraiser_id",
    "due",
)


def mark_unmatched(event: EventRow, tying: Correlation) -> None:
    """Store in the event's row the values by which a later run can tie it."""
    event["unmatched"] = to_canonical(event.get("address", ""))
    event["due"] = now()
    if mailing := tying.mailing_of(event):
        event |= {"mailing_id": mailing["_id"], "fundraiser_id": mailing["fundraiser_id"]}


def find_events_to_addresses(
    tx: Tx, organization_id: ObjectId, addresses: set[str]
) -> list[EventRow]:
    """Return unmatched events to these addresses, in any spelling."""
    query = {
        "organization_id": organization_id,
        "unmatched": build_text_condition(in_=list_all_address_keys(addresses)),
    }
    return list(
        collection(tx.database, EventRow)
        .find(query, session=tx.session)
        .limit(TIED_EVENTS_PER_BATCH)
    )


def match_to_due_emails(tx: Tx, emails: Sequence[EmailRow]) -> tuple[list[EventRow], set[ObjectId]]:
    """Tie events to emails that were recorded after the events.

    A deletion can also tie an event, because the only other recent email may remain.

    Return the tied events, and the emails that may have more events than one transaction ties.
    These emails stay due, so that the next batch continues.
    """
    if not emails:
        return [], set()
    organization_id = emails[0]["organization_id"]
    user_ids = list({email["user_id"] for email in emails})
    wanted = {"_id": {"$in": user_ids}, "deleted_at": None}
    users = collection(tx.database, UserRow).find(wanted, {"email": 1}, session=tx.session)
    addresses = {user["email"] for user in users}
    found = find_events_to_addresses(tx, organization_id, addresses)
    tied = match_unmatched_events(tx, organization_id, found)
    has_more = bool(tied) and len(found) == TIED_EVENTS_PER_BATCH
    return tied, {email["_id"] for email in emails} if has_more else set()


def match_unmatched_events(
    tx: Tx,
    organization_id: ObjectId,
    events: Sequence[EventRow],
    learned: dict[ObjectId, ObjectId] | None = None,
) -> list[EventRow]:
    """Return the unmatched events that can be tied now, with their emails.

    The caller must count and write them.

    Args:
        learned: messages that the caller will tie to emails.
    """
    if not events:
        return []
    tying = Correlation(tx, organization_id, learned=learned)
    tying.read_candidates(events)
    tied = []
    for event in events:
        if found := tying.email_of(event):
            event["email_id"], event["tied_by"] = found
            for name in UNMATCHED_EVENT_FIELDS:
                event.pop(name, None)
            tied.append(event)
    return tied


def check_bounces_later(tx: Tx, events: Sequence[EventRow]) -> None:
    """Make bounces due that name only an address and are still unmatched.

    The caller's transaction may change the times of emails, which decide these bounces.
    """
    ids = [one["_id"] for one in events if "email_id" not in one and names_only_address(one)]
    if ids:
        tx.database.events.update_many(
            {"_id": {"$in": ids}}, {"$set": {"due": now()}}, session=tx.session
        )


def write_matched_events(tx: Tx, tied: Sequence[EventRow]) -> None:
    """Store events that were tied and labelled after their arrival."""
    if not tied:
        return
    store_new_messages(tx, tied)
    for one in tied:
        drop_unread_fields(one)
    # Within a transaction, an update of indexed fields costs much more than a new row.
    ids = [one["_id"] for one in tied]
    tx.database.events.delete_many({"_id": {"$in": ids}}, session=tx.session)
    tx.database.events.insert_many(tied, ordered=False, session=tx.session)
    note_writes(tx, {"events": ids})


def read_missing_emails(
    tx: Tx, known: Mapping[ObjectId, EmailRow], wanted: set[ObjectId]
) -> dict[ObjectId, EmailRow]:
    """Return the wanted emails together with the known ones. Read the missing rows."""
    missing = list(wanted - known.keys())
    if not missing:
        return dict(known)
    found = collection(tx.database, EmailRow).find({"_id": {"$in": missing}}, session=tx.session)
    return dict(known) | {row["_id"]: row for row in found}


def merge_changes(into: Changes, more: Changes) -> None:
    """Add `more` to `into`. Both must use the same object for the row of one record."""
    for name, rows in more.targets.items():
        targets = into.targets.setdefault(name, [])
        known = {row["_id"] for row in (*into.rows.get(name, ()), *targets)}
        targets += [row for row in rows if row["_id"] not in known]
    add(into.increments, more.increments)
    for target, update in more.updates.items():
        into.update_of(*target).merge(update)


def take_due_events(tx: Tx, organization_id: ObjectId, limit: int) -> list[EventRow]:
    """Return unmatched events whose interval is over, and remove their due marks."""
    query = {"organization_id": organization_id, **build_retry_filter(now())}
    events = list(collection(tx.database, EventRow).find(query, session=tx.session).limit(limit))
    if events:
        ids = [event["_id"] for event in events]
        tx.database.events.update_many(
            {"_id": {"$in": ids}}, {"$unset": {"due": ""}}, session=tx.session
        )
    return events


def build_retry_filter(at: datetime) -> dict[str, Any]:
    """Return the query for unmatched events whose interval is over at this time."""
    return {"due": {**DUE_FILTER["due"], "$lte": at - UNMATCHED_RETRY_INTERVAL}}
