"""The inbox: the deliveries that one transaction takes, what they report, and what became of it."""

import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents.clock import now
from documents.reader import (
    DELIVERIES_A_BATCH,
    Part,
    Reader,
    Reading,
    Reported,
    as_many_as_fit,
    due_deliveries,
)

log = logging.getLogger(__name__)

REFUSED_KEPT = 100
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

    def __init__(
        self, database: Database, session: ClientSession, reader: Reader | None = None
    ) -> None:
        self.database = database
        self.session = session
        self.reader = reader or Reader()
        self.organization_id = ObjectId()  # of the deliveries, once they are known
        self.reports: list[Reported] = []
        self.outcomes: dict[ObjectId, Outcome] = {}
        self.finished: list[datetime] = []  # since when deliveries were due that are all taken now

    def take_in(self, group: dict[str, Any], only: int | None = None) -> int:
        """Read what the next due deliveries report. Returns how many of them there were.

        Args:
            only: this event of theirs, and no more.
        """
        found = due_deliveries(self.database, group, self.session)
        parts = as_many_as_fit(found)
        if only is not None:
            parts = [part._replace(first=only, most=1) for part in parts]
        for part, reading in zip(
            parts, self.reader.read(parts, self.database, self.session), strict=True
        ):
            self.organization_id = part.organization_id
            self._take(part, reading)
        if len(found) == DELIVERIES_A_BATCH or len(parts) < len(found):
            self.reader.look_ahead(group, parts)
        return len(parts)

    def _take(self, part: Part, reading: Reading) -> None:
        self.reports += reading.reports
        outcome = Outcome(part.first == 0, reading.next_item, reading.refused)
        outcome.counts["refused_events"] = len(outcome.refused)
        if outcome.refused:
            log.warning("delivery %s: %d events refused", part.id, len(outcome.refused))
        self.outcomes[part.id] = outcome
        if outcome.next_item is None:
            self.finished.append(part.due)

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
