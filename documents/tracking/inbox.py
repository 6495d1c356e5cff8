"""The inbox: the deliveries of one transaction, what they report, and the result of each."""

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
    DELIVERIES_A_BATCH,
    FIELDS,
    REFUSED_KEPT,
    Part,
    Reader,
    Reading,
    Reported,
    as_many_as_fit,
    due_deliveries,
)
from documents.values.time import now
from matchback.engine import Tx, Update

log = logging.getLogger(__name__)

COUNTS = ("counted_events", "repeated_events", "unmatched_events", "refused_events")


@dataclass
class Outcome:
    """What became of one delivery's events, as far as this batch took them."""

    is_first: bool
    next_item: int | None  # where the next batch goes on; None: all of it was taken
    refused: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))


class Inbox:
    """Due deliveries of one organization.

    Args:
        reader: of the bodies; one that reads ahead where batch follows batch.
    """

    def __init__(self, tx: Tx, reader: Reader | None = None) -> None:
        self.tx = tx
        self.reader = reader or Reader()
        self.organization_id = ObjectId()  # of the deliveries, once they are known
        self.parts: list[Part] = []
        self._has_more = False
        self.rows: dict[ObjectId, WebhookDeliveryRow] = {}  # the deliveries, as they were read
        self.reports: list[Reported] = []
        self.outcomes: dict[ObjectId, Outcome] = {}
        self.finished: list[datetime] = []  # since when deliveries were due that are all taken now

    def choose(self, group: dict[str, Any], most: int) -> list[Part]:
        """Choose the next due deliveries of a group, with at most so many events."""
        found = due_deliveries(self.tx, group)
        self.parts = as_many_as_fit(found, most)
        self.rows = {row["_id"]: row for row in found[: len(self.parts)]}
        self._has_more = len(found) == DELIVERIES_A_BATCH or len(self.parts) < len(found)
        return self.parts

    def take_in(self, group: dict[str, Any], most: int) -> None:
        """Read what the chosen deliveries report, and begin to read what comes after them."""
        readings = self.reader.read(self.parts, self.tx)
        for part, reading in zip(self.parts, readings, strict=True):
            self.organization_id = part.organization_id
            self._take(part, reading)
        if self._has_more:
            self.reader.look_ahead(dict(group), self.parts, most)

    def _take(self, part: Part, reading: Reading) -> None:
        self.reports += reading.reports
        outcome = Outcome(part.first == 0, reading.next_item, reading.refused)
        outcome.counts["refused_events"] = reading.refused_count
        if reading.refused_count:
            log.warning("delivery %s: %d events refused", part.id, reading.refused_count)
        self.outcomes[part.id] = outcome
        if outcome.next_item is None:
            self.finished.append(part.due)

    def note_outcomes(self) -> None:
        """Note the result of each delivery and, for a large one, where to go on."""
        self.tx.database.deliveries.bulk_write(
            [
                UpdateOne({"_id": id_}, _update_of(outcome, self.rows[id_]).operators)
                for id_, outcome in self.outcomes.items()
            ],
            ordered=False,
            session=self.tx.session,
        )


def skip_event(database: Database[Any], part: Part, error: str) -> None:
    """Leave out the event that a part begins with, because it cannot be counted.

    The delivery goes on with the next one. Once all were looked at, the delivery itself counts as
    attempted, and the next attempt begins with its first event.
    """
    where = {"_id": part.id, "due": part.due, "next_item": part.first or None}
    row = database.deliveries.find_one(
        {**where, **retries.not_postponed(now())}, dict.fromkeys(FIELDS, 1)
    )
    if row is None:
        return  # it was changed meanwhile, or another worker has noted it
    where["trouble"] = row.get("trouble")
    update = Update().set({"next_item": part.first + 1, "bad_event": error})
    if part.first + 1 >= row["items"]:
        update = _attempted(row, error)
    if part.first == 0:
        update.set({**dict.fromkeys(COUNTS, 0), "refused": []})
    database.deliveries.update_one(where, update.operators)


def _attempted(row: WebhookDeliveryRow, error: str) -> Update:
    return retries.after_failure(row, error).unset("next_item", "bad_event")


def _update_of(outcome: Outcome, row: WebhookDeliveryRow) -> Update:
    update = Update()
    if outcome.is_first:
        update.set({**outcome.counts, "refused": outcome.refused[:REFUSED_KEPT]})
    else:
        update.increment(outcome.counts).push("refused", outcome.refused, most=REFUSED_KEPT)
    if outcome.next_item is not None:
        return update.set({"next_item": outcome.next_item})
    if "bad_event" in row:
        return update.merge(_attempted(row, row["bad_event"]))
    return update.set({"tallied_at": now()}).unset("due", "trouble", "next_item")
