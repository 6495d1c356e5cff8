"""Settling: matches for the due records of a fundraiser, and all counters that follow.

Group commit: one transaction takes everything of the fundraiser that is due, up to a bound. A hot
fundraiser then costs one write for each batch, not one for each gift. The jobs of the other gifts
find nothing left to do.
"""

from functools import partial
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from config.observability import metrics
from documents.concurrency import mutex
from documents.concurrency.batches import ISOLATION_SECONDS
from documents.concurrency.drain import Drain
from documents.concurrency.single_flight import SingleFlight
from documents.counters import LEDGER
from documents.matching import late_touches, rematch
from documents.matching.decide import decide
from documents.settling.policies import Policy
from documents.storage.marks import due_of
from documents.tracking import unmatched
from documents.tracking.effects import arrive
from documents.values.time import now
from documents.webhook_delivery import has_events_to_count
from matchback.engine import Changes, Tx, settle

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

    def turns() -> tuple[str, ...]:
        """Settle fundraisers side by side, but not beside events, which concern all of them."""
        if not owner or not has_events_to_count(owner["organization_id"]):
            return ()
        return (mutex.of_organization(owner["organization_id"]),)

    drain = Drain(("fundraiser", fundraiser_id), ROWS_A_BATCH, seconds, turns=turns)
    return drain.run(_settle, drain, {"fundraiser_id": fundraiser_id}, policy)


def _settle(
    tx: Tx, drain: Drain, group: dict[str, Any], policy: Policy, sources: tuple[str, ...] = SOURCES
) -> int:
    changes = Changes()
    for name in sources:
        changes.rows[name] = drain.read(tx, name, group)
        if name == "emails" and changes.rows[name]:
            _follow_emails(tx, changes, policy)
    taken = drain.limit - drain.left
    decide(tx, changes, policy.matching)
    if taken:
        settle(tx, LEDGER, changes)
        tx.on_commit(partial(_measure, changes, taken))
    return taken


def _measure(changes: Changes, taken: int) -> None:
    at = now()
    for name in SOURCES:
        if rows := changes.rows.get(name):
            metrics.settled(name, [row["due"] for row in rows if "due" in row], at)
    metrics.batch(records=taken)


def _follow_emails(tx: Tx, changes: Changes, policy: Policy) -> None:
    """Apply what new and deleted emails mean for gifts, events and clicks that are stored already.

    An email with more gifts or events than a transaction can take stays due. A later batch settles
    it.
    """
    emails: list[Any] = changes.rows["emails"]
    tied, stay_due = unmatched.of_due_emails(tx, emails)
    stay_due |= rematch.gifts_of_deleted(tx, emails)
    settled = [email for email in emails if email["_id"] not in stay_due]
    changes.rows["emails"] = settled
    changes.targets["emails"] = [email for email in emails if email["_id"] in stay_due]
    late_touches.gifts_of_new(tx, [email for email in settled if not email.get("counted")])
    if tied:
        known = {email["_id"]: email for email in emails}
        of = unmatched.with_rows(tx, known, {event["email_id"] for event in tied})
        unmatched.merge(changes, arrive(tx, tied, of, policy.clicks))
        unmatched.write(tx, tied)
    _delete_clicks(tx, changes, [email["_id"] for email in emails if email.get("deleted_at")])


def _delete_clicks(tx: Tx, changes: Changes, email_ids: list[ObjectId]) -> None:
    """Settle the clicks of deleted emails as deleted."""
    if email_ids:
        clicks = {"email_id": {"$in": email_ids}}
        tx.database.clickers.update_many(
            clicks, {"$set": {"deleted_at": now()}}, session=tx.session
        )
        changes.rows["clickers"] = list(tx.database.clickers.find(clicks, session=tx.session))
