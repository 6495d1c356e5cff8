"""Ingest: from stored webhook deliveries to exact counters, in one transaction.

Events never change and have an identity, so storing an event counts it. The transaction inserts the
new events, adds them to the counters of emails, mailings and fundraisers, and removes the
deliveries' due marks. It is atomic, and repeating it changes nothing.
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
from documents.concurrency.batches import GROUP_ISOLATION_SECONDS
from documents.concurrency.drain import Drain
from documents.concurrency.single_flight import SingleFlight
from documents.providers.registry import EMAIL_PROVIDERS
from documents.providers.report import EVENT_TYPES
from documents.rows.event import EventRow
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.storage.marks import DUE_FILTER, find_due_groups
from documents.tracking import reader as reading
from documents.tracking import unmatched
from documents.tracking.inbox import Inbox, skip_event
from documents.tracking.ingest_batch import TallyBatch
from documents.tracking.reader import DeliveryPart, DeliveryReader
from documents.tracking.rules import MachineClickRule
from documents.values.time import now
from matchback.engine import Tx

log = logging.getLogger(__name__)

EMAIL_FILTER = {"$in": EMAIL_PROVIDERS}

_flights = SingleFlight()


def tally_organization(
    organization_id: ObjectId,
    rule: MachineClickRule,
    seconds: float | None = GROUP_ISOLATION_SECONDS,
) -> int:
    """Count all due deliveries of an organization. Return their number.

    Args:
        seconds: maximum time to isolate bad events; None leaves them to the sweep.
    """
    return _flights.run(organization_id, lambda: _tally_all(organization_id, rule, seconds))


def tally_deliveries(ids: list[ObjectId], rule: MachineClickRule) -> int:
    """Count deliveries, together with all other due deliveries of their organizations."""
    due = find_due_groups("deliveries", ids, "organization_id", provider=EMAIL_FILTER)
    return sum(tally_organization(organization_id, rule, None) for organization_id in due)


class _Run:
    """One run over the due deliveries of an organization.

    Attributes:
        parts: parts in the current batch.
    """

    def __init__(
        self, organization_id: ObjectId, rule: MachineClickRule, seconds: float | None
    ) -> None:
        self.group: dict[str, Any] = {
            "organization_id": organization_id,
            "provider": EMAIL_FILTER,
        }
        self.rule = rule
        # A worker that holds the first turn does the same work, so no other worker waits for it.
        turns = f"events:{organization_id}", mutex.name_organization_turn(organization_id)
        group = ("events of organization", organization_id)
        self.drain = Drain(
            group,
            reading.EVENTS_PER_BATCH,
            seconds,
            owner=organization_id,
            turns=lambda: turns,
            note=self._skip,
        )
        self.parts: list[DeliveryPart] = []

    def take(
        self, parts: Sequence[DeliveryPart], rows: Mapping[ObjectId, WebhookDeliveryRow]
    ) -> None:
        """Record the rows that the transaction took. Each event has a place in the batch."""
        self.parts = list(parts)
        ids = [
            part.id
            for part in parts
            for _ in range(max(1, min(part.most, rows[part.id]["items"] - part.first)))
        ]
        self.drain.take("deliveries", ids, parts[0].due)

    def _skip(self, source: str, id_: ObjectId, error: Exception) -> None:
        part = self.parts[0]
        log.error("%s %s: event %d: %s", source, id_, part.first, retries.describe_error(error))
        skip_event(get_db(), part, retries.describe_error(error))


def _tally_all(organization_id: ObjectId, rule: MachineClickRule, seconds: float | None) -> int:
    run = _Run(organization_id, rule, seconds)
    with DeliveryReader() as reader:
        return run.drain.run(_tally, run, reader)


def _tally(tx: Tx, run: _Run, reader: DeliveryReader) -> int:
    """Count due deliveries in a transaction."""
    most = run.drain.limit
    group = run.group | run.drain.waiting("deliveries")
    inbox = Inbox(tx, reader)
    if parts := inbox.choose(group, most):
        run.take(parts, inbox.rows)
        inbox.read_reports(group, most)
        batch = TallyBatch(tx, inbox.organization_id, run.rule, inbox)
        # Providers rarely send a POST twice, and MongoDB rejects an event that is stored already.
        # So the worker searches for stored events only after such a rejection.
        batch.write(are_new=tx.attempt == 0)
        inbox.note_outcomes()
        tx.on_commit(partial(_measure, inbox, batch.new, len(parts)))
    return len(parts)


def _measure(inbox: Inbox, new: list[EventRow], deliveries: int) -> None:
    """Update the metrics of a batch. Events that were already stored count as repeated."""
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
    metrics.count_webhook_events(+fates)
    metrics.observe_settle_times("deliveries", inbox.finished, now())
    metrics.observe_batch_sizes(deliveries=deliveries, events=len(inbox.reports))


def _known(type_: str) -> str:
    """Return a bounded label.

    Otherwise, each new type from a provider would add a permanent series.
    """
    return type_ if type_ in EVENT_TYPES else "other"


def retry_unmatched_events(
    organization_id: ObjectId,
    rule: MachineClickRule,
    seconds: float | None = GROUP_ISOLATION_SECONDS,
) -> int:
    """Look for the emails of unmatched events again. Return the number of checked events."""
    group = ("unmatched events of organization", organization_id)
    drain = Drain(
        group,
        unmatched.TIED_EVENTS_PER_BATCH,
        seconds,
        owner=organization_id,
        note=_look_later,
        postpone=_look_later,
    )
    return drain.run(_look_again, drain, organization_id, rule)


def _look_again(tx: Tx, drain: Drain, organization_id: ObjectId, rule: MachineClickRule) -> int:
    events = unmatched.take_due_events(tx, organization_id, drain.limit)
    drain.take("events", [event["_id"] for event in events], None)
    TallyBatch(tx, organization_id, rule).retry_unmatched(events)
    return len(events)


def _look_later(source: str, id_: ObjectId, error: Exception) -> None:
    """Make the event due again after the usual interval. Events have no limit of attempts."""
    log.error("%s %s: cannot tie: %s", source, id_, retries.describe_error(error))
    get_db().events.update_one({"_id": id_, **DUE_FILTER}, {"$set": {"due": now()}})
