"""Settling: matches for the due records of a fundraiser, and all counters that follow.

Group commit: one transaction takes all due records of the fundraiser, up to a limit. A busy
fundraiser then costs one write for each batch, not one for each gift. The jobs of the other gifts
find nothing left to do.
"""

from functools import partial
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from config.observability import metrics
from documents.concurrency import mutex
from documents.concurrency.batches import GROUP_ISOLATION_SECONDS
from documents.concurrency.drain import Drain
from documents.concurrency.single_flight import SingleFlight
from documents.counters import LEDGER
from documents.erased.late_records import erase_late_emails
from documents.matching import late_touches, rematch
from documents.matching.decide import decide_matches
from documents.outcomes.assign import assign_outcomes
from documents.outcomes.late_emails import follow_experiment_emails
from documents.outcomes.windows import note_moved_mailings
from documents.settling.policies import SettlingPolicy
from documents.storage.marks import find_due_groups
from documents.tracking import unmatched
from documents.tracking.effects import compute_event_changes
from documents.values.time import now
from documents.webhook_delivery import has_due_events
from matchback.engine import Changes, Tx, settle

SETTLED_ROWS_PER_BATCH = 500
# In this order, so that the mailing and the email of a gift are counted before the gift.
SETTLING_ORDER = ("mailings", "emails", "donations")

# Parallel transactions of one fundraiser would conflict, so a worker runs one at a time for each.
_flights = SingleFlight()


def settle_records(source: str, ids: list[ObjectId], policy: SettlingPolicy) -> int:
    """Settle records, together with all other due records of their fundraisers."""
    due = find_due_groups(source, ids, "fundraiser_id")
    return sum(settle_fundraiser(fundraiser_id, policy, None) for fundraiser_id in due)


def settle_fundraiser(
    fundraiser_id: ObjectId, policy: SettlingPolicy, seconds: float | None = GROUP_ISOLATION_SECONDS
) -> int:
    """Settle all due records of a fundraiser. Return their number.

    Args:
        seconds: maximum time to isolate bad records; None leaves them to the sweep.
    """
    return _flights.run(fundraiser_id, lambda: _settle_all(fundraiser_id, policy, seconds))


def _settle_all(fundraiser_id: ObjectId, policy: SettlingPolicy, seconds: float | None) -> int:
    owner = get_db().fundraisers.find_one({"_id": fundraiser_id}, {"_id": 0, "organization_id": 1})

    def turns() -> tuple[str, ...]:
        """Take a turn only while events wait.

        Events concern all fundraisers, so no other batch may run beside them.
        """
        if not owner or not has_due_events(owner["organization_id"]):
            return ()
        return (mutex.name_organization_turn(owner["organization_id"]),)

    drain = Drain(
        ("fundraiser", fundraiser_id),
        SETTLED_ROWS_PER_BATCH,
        seconds,
        owner=owner["organization_id"] if owner else None,
        turns=turns,
    )
    return drain.run(_settle, drain, {"fundraiser_id": fundraiser_id}, policy)


def _settle(
    tx: Tx,
    drain: Drain,
    group: dict[str, Any],
    policy: SettlingPolicy,
    sources: tuple[str, ...] = SETTLING_ORDER,
) -> int:
    changes = Changes()
    for name in sources:
        if name == "donations" and (changes.updates or _has_experiment_emails(changes)):
            # Events that were tied here change emails, and emails of experiments change their
            # participants. Decisions read both from the database, so the gifts wait for the next
            # batch.
            break
        changes.rows[name] = drain.read(tx, name, group)
        if name == "mailings":
            note_moved_mailings(tx, changes)
        if name == "emails" and changes.rows[name]:
            _follow_emails(tx, changes, policy)
    taken = drain.limit - drain.left
    decide_matches(tx, changes, policy.matching)
    assign_outcomes(tx, changes)
    if taken:
        settle(tx, LEDGER, changes)
        tx.on_commit(partial(_measure, changes, taken))
    return taken


def _has_experiment_emails(changes: Changes) -> bool:
    return any(email.get("arm_id") for email in changes.rows.get("emails", ()))


def _measure(changes: Changes, taken: int) -> None:
    at = now()
    for name in SETTLING_ORDER:
        if rows := changes.rows.get(name):
            metrics.observe_settle_times(name, [row["due"] for row in rows if "due" in row], at)
    metrics.observe_batch_sizes(records=taken)


def _follow_emails(tx: Tx, changes: Changes, policy: SettlingPolicy) -> None:
    """Apply new and deleted emails to the gifts, events and clicks that are already stored.

    An email with more gifts or events than a transaction can take stays due. A later batch settles
    it.
    """
    emails: list[Any] = changes.rows["emails"]
    erase_late_emails(tx, changes, emails)
    tied, stay_due = unmatched.match_to_due_emails(tx, emails)
    stay_due |= rematch.mark_gifts_of_deleted(tx, emails)
    settled = [email for email in emails if email["_id"] not in stay_due]
    changes.rows["emails"] = settled
    changes.targets["emails"] = [email for email in emails if email["_id"] in stay_due]
    late_touches.mark_gifts_of_new(tx, [email for email in settled if not email.get("counted")])
    follow_experiment_emails(tx, changes, settled)
    if tied:
        known = {email["_id"]: email for email in emails}
        of = unmatched.read_missing_emails(tx, known, {event["email_id"] for event in tied})
        unmatched.merge_changes(changes, compute_event_changes(tx, tied, of, policy.clicks))
        unmatched.write_matched_events(tx, tied)
    _delete_clicks(tx, changes, [email["_id"] for email in emails if email.get("deleted_at")])


def _delete_clicks(tx: Tx, changes: Changes, email_ids: list[ObjectId]) -> None:
    """Mark the clicks of deleted emails as deleted, and settle them."""
    if email_ids:
        clicks = {"email_id": {"$in": email_ids}}
        tx.database.clickers.update_many(
            clicks, {"$set": {"deleted_at": now()}}, session=tx.session
        )
        changes.rows["clickers"] = list(tx.database.clickers.find(clicks, session=tx.session))
