"""Ingest: from stored webhook deliveries to exact counters, in one transaction.

Events never change and have an identity, so storing an event counts it. The transaction inserts the
new events and adds them to their emails, and through these to mailing and fundraiser. It also
removes the due marks of the deliveries. All of it happens or nothing, however often it runs.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from bson import ObjectId
from mongoengine import get_db

from config.observability import metrics
from documents.concurrency import mutex, retries
from documents.concurrency.batches import ISOLATION_SECONDS, Batches
from documents.concurrency.single_flight import SingleFlight
from documents.providers import sendgrid
from documents.providers.sendgrid import PROVIDER
from documents.storage import shutdown
from documents.storage.marks import DUE, due_of
from documents.storage.transaction import in_transaction
from documents.tracking import reader as reading
from documents.tracking import unmatched
from documents.tracking.inbox import Inbox, skip_event
from documents.tracking.ingest_batch import TallyBatch
from documents.tracking.reader import Part, Reader
from documents.tracking.rules import Rule
from documents.values.time import now
from matchback.engine import Row, Tx

log = logging.getLogger(__name__)

_flights = SingleFlight()


def tally_organization(
    organization_id: ObjectId, rule: Rule, seconds: float | None = ISOLATION_SECONDS
) -> int:
    """Count everything that is due of an organization's deliveries. Returns how many there were.

    Args:
        seconds: how long to isolate bad events; None leaves them to the sweep.
    """
    return _flights.run(organization_id, lambda: _tally_all(organization_id, rule, seconds))


def tally_deliveries(ids: list[ObjectId], rule: Rule) -> int:
    """Count deliveries, and with them what else is due of their organizations."""
    due = due_of("deliveries", ids, "organization_id", provider=PROVIDER)
    return sum(tally_organization(organization_id, rule, None) for organization_id in due)


class _Run:
    """What the batches of one run share.

    Attributes:
        parts: of the batch in hand.
    """

    def __init__(self, organization_id: ObjectId, rule: Rule, seconds: float | None) -> None:
        self.group: Row = {"organization_id": organization_id, "provider": PROVIDER}
        self.rule = rule
        group = ("events of organization", organization_id)
        self.batches = Batches(group, reading.EVENTS_A_BATCH, seconds, note=self._skip)
        self.parts: list[Part] = []

    def begin(self, parts: Sequence[Part], rows: Mapping[ObjectId, Row]) -> None:
        """Note what the transaction has read."""
        self.parts = list(parts)
        self.batches.taken = [
            ("deliveries", part.id)
            for part in parts
            for _ in range(max(1, min(part.most, rows[part.id]["items"] - part.first)))
        ]
        if self.batches.is_isolating:
            # Older ones wait for their next attempt: a batch must not read thousands of them again.
            self.group["due"] = {**DUE["due"], "$gte": parts[0].due}

    def _skip(self, source: str, id_: ObjectId, error: Exception) -> None:
        part = self.parts[0]
        log.error("%s %s: event %d: %s", source, id_, part.first, retries.describe(error))
        skip_event(get_db(), part, retries.describe(error))


def _tally_all(organization_id: ObjectId, rule: Rule, seconds: float | None) -> int:
    run = _Run(organization_id, rule, seconds)
    with Reader() as reader:
        return mutex.until_done(
            mutex.of_organization(organization_id),
            lambda: in_transaction(_tally_in_turn, run, reader),
            run.batches.take,
        )


def _tally_in_turn(tx: Tx, run: _Run, reader: Reader) -> int:
    organization_id = run.group["organization_id"]
    mutex.take(tx, f"events:{organization_id}")
    mutex.take(tx, mutex.of_organization(organization_id))
    # Hardly any post is sent twice, and what is stored already cannot be stored again: so it is
    # looked for only when storing it was refused.
    return _tally(tx, run, reader, are_new=tx.attempt == 0)


def _tally(tx: Tx, run: _Run, reader: Reader, are_new: bool) -> int:
    """Tally due deliveries in a transaction."""
    run.batches.taken = []
    most = run.batches.limit
    inbox = Inbox(tx, reader)
    if parts := inbox.choose(run.group, most):
        run.begin(parts, inbox.rows)
        inbox.take_in(run.group, most)
        batch = TallyBatch(tx, inbox.organization_id, run.rule, inbox)
        batch.write(are_new)
        inbox.note_outcomes()
        tx.on_commit(partial(_measure, inbox, batch.new, len(parts)))
    return len(parts)


def _measure(inbox: Inbox, new: list[Row], deliveries: int) -> None:
    """Once a batch. What was known already is repeated, whichever post told of it before."""
    reported = Counter(one.report.type for one in inbox.reports)
    told = Counter((one["type"], "email_id" in one) for one in new)
    fates: Counter[tuple[str, str]] = Counter()
    for (type_, is_tied), number in told.items():
        fates[_known(type_), "counted" if is_tied else "unmatched"] += number
        reported[type_] -= number
    for type_, number in reported.items():
        fates[_known(type_), "repeated"] += number
    fates["unknown", "refused"] = sum(
        one.counts["refused_events"] for one in inbox.outcomes.values()
    )
    metrics.webhook_events(+fates)
    metrics.settled("deliveries", inbox.finished, now())
    metrics.batch(deliveries=deliveries, events=len(inbox.reports))


def _known(type_: str) -> str:
    """A provider may send any word, and each would be a series for ever."""
    return type_ if type_ in sendgrid.TYPES else "other"


def look_again(
    organization_id: ObjectId, rule: Rule, seconds: float | None = ISOLATION_SECONDS
) -> int:
    """Tie what could not be tied when it came. Returns how many events were looked at."""
    group = ("unmatched events of organization", organization_id)
    batches = Batches(
        group, unmatched.TIED_A_BATCH, seconds, note=_look_later, postpone=_look_later
    )
    done = 0
    while not shutdown.has_begun() and (
        batch := batches.take(lambda: in_transaction(_look_again, organization_id, rule, batches))
    ):
        done += batch
    return done


def _look_again(tx: Tx, organization_id: ObjectId, rule: Rule, run: Batches) -> int:
    run.taken = []
    events = unmatched.due_again(tx, organization_id, run.limit)
    run.taken = [("events", event["_id"]) for event in events]
    TallyBatch(tx, organization_id, rule).look_again(events)
    return len(events)


def _look_later(source: str, id_: ObjectId, error: Exception) -> None:
    """An event has no attempts to count: it is looked at again after the same time."""
    log.error("%s %s cannot be tied: %s", source, id_, retries.describe(error))
    get_db().events.update_one({"_id": id_, **DUE}, {"$set": {"due": now()}})
