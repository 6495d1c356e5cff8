"""Ingest: from stored webhook deliveries to exact counters, in one transaction.

Events never change and have an identity, so storing an event counts it. The transaction inserts the
new events and adds them to their emails, and through these to mailing and fundraiser. It also
removes the due marks of the deliveries. All of it happens or nothing, however often it runs.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from config.observability import metrics
from documents.concurrency import mutex, retries
from documents.concurrency.batches import ISOLATION_SECONDS
from documents.concurrency.drain import Drain
from documents.concurrency.single_flight import SingleFlight
from documents.providers import sendgrid
from documents.providers.sendgrid import PROVIDER
from documents.rows.event import EventRow
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.storage.marks import DUE, due_of
from documents.tracking import reader as reading
from documents.tracking import unmatched
from documents.tracking.inbox import Inbox, skip_event
from documents.tracking.ingest_batch import TallyBatch
from documents.tracking.reader import Part, Reader
from documents.tracking.rules import Rule
from documents.values.time import now
from matchback.engine import Tx

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
    """One run over the due deliveries of an organization.

    Attributes:
        parts: the parts in the current batch.
    """

    def __init__(self, organization_id: ObjectId, rule: Rule, seconds: float | None) -> None:
        self.group: dict[str, Any] = {"organization_id": organization_id, "provider": PROVIDER}
        self.rule = rule
        # A worker that has the first turn does the same work, so nobody asks for that one.
        turns = f"events:{organization_id}", mutex.of_organization(organization_id)
        group = ("events of organization", organization_id)
        self.drain = Drain(
            group, reading.EVENTS_A_BATCH, seconds, turns=lambda: turns, note=self._skip
        )
        self.parts: list[Part] = []

    def take(self, parts: Sequence[Part], rows: Mapping[ObjectId, WebhookDeliveryRow]) -> None:
        """Note what the transaction took: each event has a place in the batch."""
        self.parts = list(parts)
        ids = [
            part.id
            for part in parts
            for _ in range(max(1, min(part.most, rows[part.id]["items"] - part.first)))
        ]
        self.drain.take("deliveries", ids, parts[0].due)

    def _skip(self, source: str, id_: ObjectId, error: Exception) -> None:
        part = self.parts[0]
        log.error("%s %s: event %d: %s", source, id_, part.first, retries.describe(error))
        skip_event(get_db(), part, retries.describe(error))


def _tally_all(organization_id: ObjectId, rule: Rule, seconds: float | None) -> int:
    run = _Run(organization_id, rule, seconds)
    with Reader() as reader:
        return run.drain.run(_tally, run, reader)


def _tally(tx: Tx, run: _Run, reader: Reader) -> int:
    """Tally due deliveries in a transaction."""
    most = run.drain.limit
    group = run.group | run.drain.waiting("deliveries")
    inbox = Inbox(tx, reader)
    if parts := inbox.choose(group, most):
        run.take(parts, inbox.rows)
        inbox.take_in(group, most)
        batch = TallyBatch(tx, inbox.organization_id, run.rule, inbox)
        # Hardly any post is sent twice, and MongoDB rejects an event that is stored already. So the
        # worker looks for stored events only after MongoDB rejected one.
        batch.write(are_new=tx.attempt == 0)
        inbox.note_outcomes()
        tx.on_commit(partial(_measure, inbox, batch.new, len(parts)))
    return len(parts)


def _measure(inbox: Inbox, new: list[EventRow], deliveries: int) -> None:
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
    drain = Drain(group, unmatched.TIED_A_BATCH, seconds, note=_look_later, postpone=_look_later)
    return drain.run(_look_again, drain, organization_id, rule)


def _look_again(tx: Tx, drain: Drain, organization_id: ObjectId, rule: Rule) -> int:
    events = unmatched.due_again(tx, organization_id, drain.limit)
    drain.take("events", [event["_id"] for event in events], None)
    TallyBatch(tx, organization_id, rule).look_again(events)
    return len(events)


def _look_later(source: str, id_: ObjectId, error: Exception) -> None:
    """An event has no attempts to count: it is looked at again after the same time."""
    log.error("%s %s cannot be tied: %s", source, id_, retries.describe(error))
    get_db().events.update_one({"_id": id_, **DUE}, {"$set": {"due": now()}})
