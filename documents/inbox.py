"""The inbox: the deliveries that one transaction takes, what they report, and what became of it."""

import logging
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents import sendgrid, trouble
from documents.clock import now
from documents.engine.contribution import Row
from documents.marks import DUE
from documents.references import resolve

log = logging.getLogger(__name__)

# Eight thousand events a second with one delivery of a hundred in a transaction, eighteen
# thousand with ten: but a transaction must stay short, for it holds its mailing meanwhile.
DELIVERIES_A_BATCH = 10
EVENTS_A_BATCH = 1000
REFUSED_KEPT = 100
COUNTS = ("counted_events", "repeated_events", "unmatched_events", "refused_events")


@dataclass
class Outcome:
    """What became of one delivery's events, as far as this batch took them."""

    is_first: bool
    next_item: int | None  # where the next batch goes on; None: all of it was taken
    refused: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))


class Reported(NamedTuple):
    """One event of a delivery, and the email that it names by an id or a token."""

    report: sendgrid.Report
    named: ObjectId | None
    delivery_id: ObjectId
    item: int


class Inbox:
    """Due deliveries of one organization."""

    def __init__(self, database: Database, session: ClientSession) -> None:
        self.database = database
        self.session = session
        self.organization_id = ObjectId()  # of the deliveries, once they are known
        self.reports: list[Reported] = []
        self.outcomes: dict[ObjectId, Outcome] = {}
        self._left = EVENTS_A_BATCH

    def due_deliveries(self, group: dict[str, ObjectId]) -> list[Row]:
        """The next ones, as many as fit; at least one, and of a large one as much as fits."""
        found = self.database.deliveries.find(
            {**group, **DUE, **trouble.not_postponed(now())},
            sort=[("due", 1)],
            limit=DELIVERIES_A_BATCH,
            session=self.session,
        )
        batch: list[Row] = []
        events = 0
        for delivery in found:
            events += delivery["items"] - (delivery.get("next_item") or 0)
            if batch and events > EVENTS_A_BATCH:
                break
            batch.append(delivery)
            self.organization_id = delivery["organization_id"]
        return batch

    def take_in(self, delivery: Row, only: int | None = None) -> None:
        """Read what a delivery reports. What cannot be understood stops nothing else."""
        try:
            items = sendgrid.parse(delivery["body"])
        except ValueError:
            items = None
        first = delivery.get("next_item") or 0
        last = min(len(items or ()), first + self._left)
        if only is not None:
            first, last = 0, len(items or ())
        outcome = Outcome(first == 0, next_item=last if last < len(items or ()) else None)
        if items is None:
            outcome.refused.append({"index": 0, "reason": "the body is no JSON array"})
        for index in range(first, last):
            if items is not None and only in (None, index) and items[index] != sendgrid.ERASED:
                self._read(items, index, delivery["_id"], outcome)
        self._left -= last - first
        outcome.counts["refused_events"] = len(outcome.refused)
        if outcome.refused:
            log.warning("delivery %s: %d events refused", delivery["_id"], len(outcome.refused))
        self.outcomes[delivery["_id"]] = outcome

    def _read(self, items: list[Any], index: int, delivery_id: ObjectId, outcome: Outcome) -> None:
        try:
            report = sendgrid.read(self.organization_id.binary, items[index])
        except ValueError as error:
            outcome.refused.append({"index": index, "reason": str(error)})
        else:
            reference = resolve(self.organization_id, report.email_ref)
            named = reference[0] if reference else None
            self.reports.append(Reported(report, named, delivery_id, index))

    def note_outcomes(self) -> None:
        """Say of each delivery what became of it; of a large one, where to go on."""
        self.database.deliveries.bulk_write(
            [UpdateOne({"_id": id_}, _told(outcome)) for id_, outcome in self.outcomes.items()],
            ordered=False,
            session=self.session,
        )


def _told(outcome: Outcome) -> dict[str, Any]:
    update: dict[str, Any] = {}
    refused = {"refused": {"$each": outcome.refused, "$slice": REFUSED_KEPT}}
    if outcome.is_first:
        update["$set"] = {**outcome.counts, "refused": outcome.refused[:REFUSED_KEPT]}
    else:
        update |= {"$inc": outcome.counts, "$push": refused, "$set": {}}
    if outcome.next_item is None:
        update["$set"]["tallied_at"] = now()
        update["$unset"] = dict.fromkeys(("due", "trouble", "next_item"), "")
    else:
        update["$set"]["next_item"] = outcome.next_item
    return update
