"""Settling: matches for the due records of a fundraiser, and all counters that follow.

Group commit: one transaction takes everything of the fundraiser that is due, up to a bound. A hot
fundraiser then costs one write for each batch, not one for each gift. The jobs of the other gifts
find nothing left to do.
"""

import contextlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from bson import ObjectId
from mongoengine import get_db

from config.observability import metrics
from documents.concurrency import mutex, retries
from documents.concurrency.batches import ISOLATION_SECONDS, Batches
from documents.concurrency.single_flight import SingleFlight
from documents.counters import LEDGER
from documents.matching import late_touches, rematch
from documents.matching.decide import decide
from documents.settling.policies import Policy
from documents.storage import shutdown
from documents.storage.marks import DUE, due_of
from documents.storage.transaction import in_transaction
from documents.tracking import unmatched
from documents.tracking.effects import arrive
from documents.values.time import now
from documents.webhook_delivery import has_events_to_count
from matchback.engine import Changes, Row, Tx, settle

ROWS_A_BATCH = 250
# In this order, so that by the time a gift is settled its mailing and email are counted, too.
SOURCES = ("mailings", "emails", "donations")

# Threads of one worker that settle the same fundraiser would only make each other try again.
_flights = SingleFlight()


def settle_records(source: str, ids: list[ObjectId], policy: Policy) -> int:
    """Settle records, and with them what else is due of their fundraisers."""
    due = due_of(source, ids, "fundraiser_id")
    return sum(settle_fundraiser(fundraiser_id, policy, None) for fundraiser_id in due)


def settle_fundraiser(
    fundraiser_id: ObjectId, policy: Policy, seconds: float | None = ISOLATION_SECONDS
) -> int:
    """Settle everything that is due of a fundraiser. Returns how many records there were.

    Args:
        seconds: how long to isolate bad records; None leaves them to the sweep.
    """
    return _flights.run(fundraiser_id, lambda: _settle_all(fundraiser_id, policy, seconds))


def _settle_all(fundraiser_id: ObjectId, policy: Policy, seconds: float | None) -> int:
    owner = get_db().fundraisers.find_one({"_id": fundraiser_id}, {"_id": 0, "organization_id": 1})
    name = mutex.of_organization(owner["organization_id"] if owner else fundraiser_id)
    run = _Run({"fundraiser_id": fundraiser_id}, policy, _batches(fundraiser_id, seconds))

    def batch() -> int:
        # Fundraisers are settled side by side, but not beside events, which are of all of them.
        if not owner or not has_events_to_count(owner["organization_id"]):
            return in_transaction(_settle, run.group, policy, run=run)
        return mutex.in_turn(name, lambda: in_transaction(_settle_in_turn, name, run))

    done = 0
    with contextlib.suppress(mutex.NotMyTurn):  # then it is left to the others and the sweep
        while not shutdown.has_begun() and (taken := run.batches.take(batch)):
            done += taken
    return done


def _batches(fundraiser_id: ObjectId, seconds: float | None) -> Batches:
    return Batches(("fundraiser", fundraiser_id), ROWS_A_BATCH, seconds)


@dataclass
class _Run:
    """What the batches of one run share.

    Attributes:
        since: by collection, the oldest mark that the last batch found. What is older waits for
            its next attempt: a batch must not read thousands of such records again.
    """

    group: Row
    policy: Policy
    batches: Batches
    since: dict[str, datetime] = field(default_factory=dict)


def _settle_in_turn(tx: Tx, name: str, run: _Run) -> int:
    mutex.take(tx, name)
    return _settle(tx, run.group, run.policy, run=run)


def _settle(
    tx: Tx, group: Row, policy: Policy, sources: tuple[str, ...] = SOURCES, run: _Run | None = None
) -> int:
    changes = Changes()
    if run:
        run.batches.taken = []
    most = left = run.batches.limit if run else ROWS_A_BATCH
    for name in sources:
        rows = changes.rows[name] = _due(tx, name, group, left, run)
        left -= len(rows)
        if name == "emails" and rows:
            _follow_emails(tx, changes, policy)
        if not left:
            break
    decide(tx, changes, policy.matching)
    taken = most - left
    if taken:
        settle(tx, LEDGER, changes)
        tx.on_commit(partial(_measure, changes, taken))
    return taken


def _measure(changes: Changes, taken: int) -> None:
    at = now()
    for name in SOURCES:
        if rows := changes.rows.get(name):
            settled = [row for row in rows if (name, row["_id"]) not in changes.keep_due]
            metrics.settled(name, [row["due"] for row in settled if "due" in row], at)
    metrics.batch(records=taken)


def _follow_emails(tx: Tx, changes: Changes, policy: Policy) -> None:
    """What a new or deleted email means for gifts, events and clicks that are stored already."""
    emails = changes.rows["emails"]
    new = [email for email in emails if not email.get("counted")]
    deleted = [email["_id"] for email in emails if email.get("deleted_at")]
    changes.keep_due |= rematch.gifts_of_deleted(tx, emails)
    late_touches.gifts_of_new(tx, new)
    if tied := unmatched.of_due_emails(tx, emails):
        known = {email["_id"]: email for email in emails}
        of = unmatched.with_rows(tx, known, {event["email_id"] for event in tied})
        unmatched.merge(changes, arrive(tx, tied, of, policy.clicks))
        unmatched.write(tx, tied)
    if deleted:
        clicks = {"email_id": {"$in": deleted}}
        tx.database.clickers.update_many(
            clicks, {"$set": {"deleted_at": now()}}, session=tx.session
        )
        changes.rows["clickers"] = list(tx.database.clickers.find(clicks, session=tx.session))


def _due(tx: Tx, name: str, group: Row, limit: int, run: _Run | None) -> list[Row]:
    query: Row = {**group, **DUE, **retries.not_postponed(now())}
    if run and run.batches.is_isolating and name in run.since:
        query["due"] = {**DUE["due"], "$gte": run.since[name]}
    rows = list(tx.database[name].find(query, sort=[("due", 1)], limit=limit, session=tx.session))
    if run and rows:
        run.since[name] = rows[0]["due"]
        run.batches.taken += [(name, row["_id"]) for row in rows]
    return rows
