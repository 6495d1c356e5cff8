"""Settling: match what is due of a fundraiser, and bring every counter up to date with it.

Group commit: one transaction takes whatever of the fundraiser is due, up to a bound. A hot
fundraiser then costs one write a batch instead of one a gift, and the jobs of the other gifts
find nothing left to do.
"""

import logging
from typing import Any

from bson import ObjectId
from mongoengine import get_db
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents import late_events, rematching, trouble
from documents.arrivals import arrive
from documents.candidates import Candidates
from documents.clock import now
from documents.counters import LEDGER, counts, is_matched
from documents.donor import donor_id
from documents.engine.contribution import Row, Target
from documents.engine.settle import Changes, settle
from documents.matching import Gift, match, reasons
from documents.policy import Policy
from documents.record import DUE
from documents.single_flight import SingleFlight
from documents.transaction import in_transaction

log = logging.getLogger(__name__)

ROWS_A_BATCH = 250
UNMATCHED: dict[str, Any] = dict.fromkeys((*rematching.MATCHED, "user_id", "fundraiser_donor_id"))
# In this order, so that by the time a gift is settled its mailing and email are counted, too.
SOURCES = ("mailings", "emails", "donations")

# Threads of one worker that settle the same fundraiser would only make each other try again.
_flights = SingleFlight()


def settle_record(source: str, id_: ObjectId, policy: Policy) -> int:
    """Settle one record, and with it what else is due of its fundraiser."""
    row = get_db()[source].find_one({"_id": id_, **DUE}, {"fundraiser_id": 1})
    return settle_fundraiser(row["fundraiser_id"], policy) if row else 0


def settle_fundraiser(fundraiser_id: ObjectId, policy: Policy) -> int:
    """Settle everything that is due of a fundraiser. Returns how many records there were."""
    return _flights.run(fundraiser_id, lambda: _settle_all(fundraiser_id, policy))


def _settle_all(fundraiser_id: ObjectId, policy: Policy) -> int:
    done = 0
    group = {"fundraiser_id": fundraiser_id}
    try:
        while batch := in_transaction(_settle, group, policy):
            done += batch
    except Exception as error:
        if trouble.is_passing(error):
            raise
        log.warning(
            "fundraiser %s: settling one by one, for %s", fundraiser_id, trouble.describe(error)
        )
        done += _settle_one_by_one(group, policy)
    return done


def _settle_one_by_one(group: dict[str, ObjectId], policy: Policy) -> int:
    """What one record spoils for its batch, the others get by themselves."""
    done = 0
    for name in SOURCES:
        query = {**group, **DUE, **trouble.not_postponed(now())}
        for row in list(get_db()[name].find(query, {"_id": 1}).sort("due", 1)):
            one = {"_id": row["_id"]}
            done += trouble.attempt(
                name, row["_id"], in_transaction, _settle, one, policy, sources=(name,)
            )
    return done


def _settle(
    database: Database,
    session: ClientSession,
    group: dict[str, ObjectId],
    policy: Policy,
    sources: tuple[str, ...] = SOURCES,
) -> int:
    changes = Changes()
    left = ROWS_A_BATCH
    for name in sources:
        changes.rows[name] = _due(database, session, name, group, left)
        left -= len(changes.rows[name])
        if name == "emails" and changes.rows[name]:
            _follow_emails(database, session, changes, policy)
        if not left:
            break
    _decide(database, session, changes, policy)
    taken = ROWS_A_BATCH - left
    if taken:
        settle(database, session, LEDGER, changes)
    return taken


def _follow_emails(
    database: Database, session: ClientSession, changes: Changes, policy: Policy
) -> None:
    """What a new or deleted email means for gifts, events and clicks that are stored already."""
    emails = changes.rows["emails"]
    new = [email for email in emails if not email.get("counted")]
    deleted = [email["_id"] for email in emails if email.get("deleted_at")]
    rematching.gifts_of_deleted(database, session, emails)
    rematching.gifts_of_new(database, session, new)
    if tied := late_events.of_due_emails(database, session, emails):
        known = {email["_id"]: email for email in emails}
        of = late_events.with_rows(database, session, known, {event["email_id"] for event in tied})
        late_events.merge(changes, arrive(database, session, tied, of, policy.clicks))
        late_events.write(database, session, tied)
    if deleted:
        clicks = {"email_id": {"$in": deleted}}
        database.clickers.update_many(clicks, {"$set": {"deleted_at": now()}}, session=session)
        changes.rows["clickers"] = list(database.clickers.find(clicks, session=session))


def _due(
    database: Database, session: ClientSession, name: str, group: dict[str, ObjectId], limit: int
) -> list[Row]:
    query = {**group, **DUE, **trouble.not_postponed(now())}
    return list(database[name].find(query, sort=[("due", 1)], limit=limit, session=session))


def _decide(database: Database, session: ClientSession, changes: Changes, policy: Policy) -> None:
    """Match the gifts whose money was taken and that have no match yet; unmatch the others.

    A refunded gift has its match, whether it was settled before the refund came or not.
    """
    rows = changes.rows.get("donations", [])
    wanting = [row for row in rows if is_matched(row) and not row.get("match")]
    candidates = Candidates(database, session, wanting)
    updates = [(row, _matched(row, candidates, policy)) for row in wanting]
    updates += [(row, UNMATCHED) for row in rows if not is_matched(row) and row.get("match")]
    for row, update in updates:
        row.update(update)
        target: Target = ("donations", row["_id"])
        changes.updates[target] = {
            "$set": {name: value for name, value in update.items() if value is not None},
            "$unset": {name: "" for name, value in update.items() if value is None},
        }
        if row.get("email_id") and not counts(row):
            _hold(changes, row["email_id"])


def _hold(changes: Changes, email_id: ObjectId) -> None:
    """Write the email, so that deleting it meanwhile is a write conflict.

    A gift that counts writes its email by itself. One in dispute adds nothing to it, and the
    transaction that deletes the email would not see the match that this one makes.
    """
    changes.updates[("emails", email_id)] = {"$set": {"matched_at": now()}}


def _matched(row: Row, candidates: Candidates, policy: Policy) -> dict[str, Any]:
    """What the decision makes of a gift's row; None unsets."""
    gift = Gift(row["fundraiser_id"], row.get("email_ref"), row["donated_at"])
    decision = match(gift, candidates.named(row), candidates.to_donor(row), policy.window)
    email = decision.email
    # The donor's own address says who gives. An email that was passed on to somebody unknown
    # still says whose giving it is part of.
    user_id = candidates.user_id(row) or (email.user_id if email else None)
    who = row | {"user_id": user_id}
    mailing_id = email.mailing_id if email else None
    return {
        "match": decision.match,
        "email_id": email.id if email else None,
        "mailing_id": mailing_id,
        "user_id": user_id,
        "fundraiser_donor_id": donor_id("fundraiser", row["fundraiser_id"], who),
        "mailing_donor_id": donor_id("mailing", mailing_id, who) if mailing_id else None,
        "decision": {
            "rule": decision.rule,
            "window_seconds": int(policy.window.total_seconds()),
            "considered": reasons(decision.considered),
            "decided_at": now(),
        },
    }
