"""Inbox: the deliveries of one transaction, their reports, and the result of each."""

import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.database import Database

from documents.concurrency import retries
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.tracking.reader import (
    DELIVERIES_PER_BATCH,
    DUE_DELIVERY_FIELDS,
    MAX_REJECTED_ITEMS,
    DeliveredReport,
    DeliveryPart,
    DeliveryReader,
    PartReading,
    choose_parts,
    find_due_deliveries,
)
from documents.values.time import now
from matchback.engine import Tx, Update

log = logging.getLogger(__name__)

OUTCOME_COUNTERS = ("counted_events", "repeated_events", "unmatched_events", "refused_events")


@dataclass
class DeliveryOutcome:
    """The result of one delivery's events in this batch."""

    is_first: bool
    # index at which the next batch continues; None at the end of the delivery
    next_item: int | None
    refused: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOME_COUNTERS, 0))


class Inbox:
    """Due deliveries of one organization.

    Args:
        reader: reader of bodies; a shared one reads ahead between batches.
    """

    def __init__(self, tx: Tx, reader: DeliveryReader | None = None) -> None:
        self.tx = tx
        self.reader = reader or DeliveryReader()
        self.organization_id = ObjectId()  # set when the deliveries are known
        self.parts: list[DeliveryPart] = []
        self._has_more = False
        self.rows: dict[ObjectId, WebhookDeliveryRow] = {}  # the deliveries, as they were read
        self.reports: list[DeliveredReport] = []
        self.outcomes: dict[ObjectId, DeliveryOutcome] = {}
        self.finished: list[datetime] = []  # due times of the deliveries that this batch finishes

    def choose(self, group: dict[str, Any], most: int) -> list[DeliveryPart]:
        """Choose the group's next due deliveries, with at most `most` events."""
        found = find_due_deliveries(self.tx, group)
        self.parts = choose_parts(found, most)
        self.rows = {row["_id"]: row for row in found[: len(self.parts)]}
        self._has_more = len(found) == DELIVERIES_PER_BATCH or len(self.parts) < len(found)
        return self.parts

    def read_reports(self, group: dict[str, Any], most: int) -> None:
        """Read the reports of the chosen deliveries, and start to read the next ones ahead."""
        readings = self.reader.read(self.parts, self.tx)
        for part, reading in zip(self.parts, readings, strict=True):
            self.organization_id = part.organization_id
            self._take(part, reading)
        if self._has_more:
            self.reader.read_ahead(dict(group), self.parts, most)

    def _take(self, part: DeliveryPart, reading: PartReading) -> None:
        self.reports += reading.reports
        outcome = DeliveryOutcome(part.first == 0, reading.next_item, reading.refused)
        outcome.counts["refused_events"] = reading.refused_count
        if reading.refused_count:
            log.warning("delivery %s: rejected %d events", part.id, reading.refused_count)
        self.outcomes[part.id] = outcome
        if outcome.next_item is None:
            self.finished.append(part.due)

    def note_outcomes(self) -> None:
        """Store the result of each delivery.

        For a large one, also store the index to continue at.
        """
        self.tx.database.deliveries.bulk_write(
            [
                UpdateOne({"_id": id_}, _update_of(outcome, self.rows[id_]).operators)
                for id_, outcome in self.outcomes.items()
            ],
            ordered=False,
            session=self.tx.session,
        )


def skip_event(database: Database[Any], part: DeliveryPart, error: str) -> None:
    """Skip the first event of a part, because it cannot be counted.

    The delivery continues with the next event. After its last event, the delivery itself has one
    failed attempt. The next attempt begins with its first event.
    """
    where = {"_id": part.id, "due": part.due, "next_item": part.first or None}
    row = database.deliveries.find_one(
        {**where, **retries.exclude_postponed(now())}, dict.fromkeys(DUE_DELIVERY_FIELDS, 1)
    )
    if row is None:
        return  # another process changed or skipped it meanwhile
    where["trouble"] = row.get("trouble")
    update = Update().set({"next_item": part.first + 1, "bad_event": error})
    if part.first + 1 >= row["items"]:
        update = _attempted(row, error)
    if part.first == 0:
        update.set({**dict.fromkeys(OUTCOME_COUNTERS, 0), "refused": []})
    database.deliveries.update_one(where, update.operators)


def _attempted(row: WebhookDeliveryRow, error: str) -> Update:
    return retries.build_failure_update(row, error).unset("next_item", "bad_event")


def _update_of(outcome: DeliveryOutcome, row: WebhookDeliveryRow) -> Update:
    update = Update()
    if outcome.is_first:
        update.set({**outcome.counts, "refused": outcome.refused[:MAX_REJECTED_ITEMS]})
    else:
        update.increment(outcome.counts).push("refused", outcome.refused, most=MAX_REJECTED_ITEMS)
    if outcome.next_item is not None:
        return update.set({"next_item": outcome.next_item})
    if "bad_event" in row:
        return update.merge(_attempted(row, row["bad_event"]))
    return update.set({"tallied_at": now()}).unset("due", "trouble", "next_item")
