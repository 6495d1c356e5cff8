"""Unmatched events: stored before their email was known, and tied to it afterwards.

The later of the two ties them. A transaction that makes an email known looks for unmatched events.
A transaction that stores an unmatched event has looked for the email. When both run at once,
neither may see the other. So each unmatched event is due. A worker checks it again after every
transaction of that moment has ended.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from bson import ObjectId
from pymongo import UpdateOne

from documents.message import learn
from documents.people.spellings import all_keys
from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.rows.user import UserRow
from documents.storage.export_outbox import note
from documents.storage.marks import DUE, text
from documents.tracking.correlation import Correlation
from documents.values.address import canonical
from documents.values.time import now
from matchback.engine import Changes, Tx, add

TIED_A_BATCH = 500
# MongoDB ends a transaction after 60 seconds, unless it is set to do so earlier.
LOOK_AGAIN_AFTER = timedelta(seconds=70)
OF_UNMATCHED: tuple[Literal["unmatched", "mailing_id", "fundraiser_id", "due"], ...] = (
    "unmatched",
    "mailing_id",
    "fundraiser_id",
    "due",
)


def mark_unmatched(event: EventRow, tying: Correlation) -> None:
    """Keep in the row of an event what it may be tied by later."""
    event["unmatched"] = canonical(event.get("address", ""))
    event["due"] = now()
    if mailing := tying.mailing_of(event):
        event |= {"mailing_id": mailing["_id"], "fundraiser_id": mailing["fundraiser_id"]}


def of_addresses(tx: Tx, organization_id: ObjectId, addresses: set[str]) -> list[EventRow]:
    """Return unmatched events to these addresses, in whatever spelling."""
    query = {"organization_id": organization_id, "unmatched": text(in_=all_keys(addresses))}
    return list(
        collection(tx.database, EventRow).find(query, session=tx.session).limit(TIED_A_BATCH)
    )


def of_due_emails(tx: Tx, emails: Sequence[EmailRow]) -> tuple[list[EventRow], set[ObjectId]]:
    """Tie events to emails of an organization that were recorded after the events.

    Returns the tied events, and the emails that can have more than a transaction ties. These stay
    due, so the next batch goes on.
    """
    live = [email for email in emails if not email.get("deleted_at")]
    if not live:
        return [], set()
    organization_id = live[0]["organization_id"]
    user_ids = list({email["user_id"] for email in live})
    wanted = {"_id": {"$in": user_ids}, "deleted_at": None}
    users = collection(tx.database, UserRow).find(wanted, {"email": 1}, session=tx.session)
    addresses = {user["email"] for user in users}
    found = of_addresses(tx, organization_id, addresses)
    tied = tie_late(tx, organization_id, found)
    has_more = bool(tied) and len(found) == TIED_A_BATCH
    return tied, {email["_id"] for email in live} if has_more else set()


def tie_late(
    tx: Tx,
    organization_id: ObjectId,
    events: Sequence[EventRow],
    learned: dict[ObjectId, ObjectId] | None = None,
) -> list[EventRow]:
    """Those unmatched events that can be tied now, with their emails. Not counted nor written yet.

    Args:
        learned: messages that the caller is about to tie to emails.
    """
    if not events:
        return []
    tying = Correlation(tx, organization_id, learned=learned)
    tying.look_up(events)
    tied = []
    for event in events:
        if found := tying.email_of(event):
            event["email_id"], event["tied_by"] = found
            for name in OF_UNMATCHED:
                event.pop(name, None)
            tied.append(event)
    return tied


def write(tx: Tx, tied: Sequence[EventRow]) -> None:
    """Store the rows of events that were tied, and judged, late."""
    gone = {"$unset": dict.fromkeys(OF_UNMATCHED, "")}
    if tied:
        tx.database.events.bulk_write(
            [UpdateOne({"_id": one["_id"]}, {"$set": _without_id(one), **gone}) for one in tied],
            ordered=False,
            session=tx.session,
        )
        learn(tx, tied)
        note(tx, {"events": [one["_id"] for one in tied]})


def _without_id(row: EventRow) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "_id"}


def with_rows(
    tx: Tx, known: Mapping[ObjectId, EmailRow], wanted: set[ObjectId]
) -> dict[ObjectId, EmailRow]:
    """The rows of the wanted emails, with those that are read already."""
    missing = list(wanted - known.keys())
    if not missing:
        return dict(known)
    found = collection(tx.database, EmailRow).find({"_id": {"$in": missing}}, session=tx.session)
    return dict(known) | {row["_id"]: row for row in found}


def merge(into: Changes, more: Changes) -> None:
    """Do both in one settlement. Rows of one record must be one object in both."""
    for name, rows in more.targets.items():
        targets = into.targets.setdefault(name, [])
        known = {row["_id"] for row in (*into.rows.get(name, ()), *targets)}
        targets += [row for row in rows if row["_id"] not in known]
    add(into.increments, more.increments)
    for target, update in more.updates.items():
        into.update_of(*target).merge(update)


def due_again(tx: Tx, organization_id: ObjectId, limit: int) -> list[EventRow]:
    """Unmatched events that were stored long enough ago to be looked at again; each but once."""
    query = {"organization_id": organization_id, **due_before(now())}
    events = list(collection(tx.database, EventRow).find(query, session=tx.session).limit(limit))
    if events:
        ids = [event["_id"] for event in events]
        tx.database.events.update_many(
            {"_id": {"$in": ids}}, {"$unset": {"due": ""}}, session=tx.session
        )
    return events


def due_before(at: datetime) -> dict[str, Any]:
    """The query for unmatched events that are to be looked at again by then."""
    return {"due": {**DUE["due"], "$lte": at - LOOK_AGAIN_AFTER}}
