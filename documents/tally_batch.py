"""One batch of tallying: what its deliveries report, less what is stored already."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents import late_events, rematching, sendgrid, trouble
from documents.address import fold
from documents.arrivals import arrive
from documents.clock import now
from documents.counters import LEDGER
from documents.engine.contribution import Row
from documents.engine.settle import Changes, settle
from documents.event import to_row
from documents.machine_clicks import Rule
from documents.matching import email_id_of
from documents.record import DUE, text
from documents.tying import Tying, message_key

Key = bytes | str

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


class TallyBatch:
    """Deliveries of one organization, in one transaction."""

    def __init__(self, database: Database, session: ClientSession, rule: Rule) -> None:
        self.database = database
        self.session = session
        self.rule = rule
        self.organization_id = ObjectId()  # of the deliveries, once they are known
        self.reports: list[tuple[sendgrid.Report, ObjectId, int]] = []
        self.outcomes: dict[ObjectId, Outcome] = {}
        self.left = EVENTS_A_BATCH

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
        last = min(len(items or ()), first + self.left)
        if only is not None:
            first, last = 0, len(items or ())
        outcome = Outcome(first == 0, next_item=last if last < len(items or ()) else None)
        if items is None:
            outcome.refused.append({"index": 0, "reason": "the body is no JSON array"})
        for index in range(first, last):
            if items is not None and only in (None, index) and items[index] != sendgrid.ERASED:
                self._read(items, index, delivery["_id"], outcome)
        self.left -= last - first
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
            self.reports.append((report, delivery_id, index))

    def write(self, *, settled: bool) -> None:
        """Store the new events, count them, and say what became of the deliveries."""
        emails = self._named_emails()
        new = self._new_events(emails)
        arriving = [event for event in new if "email_id" in event]
        late = self._late(self._learned(arriving, emails))
        effects = self.count([*arriving, *late], emails)
        if new:
            self.database.events.insert_many(new, ordered=False, session=self.session)
        late_events.write(self.database, self.session, late)
        sent = [row for row in effects.rows["emails"] if "sent_at" in _firsts(effects, row)]
        rematching.gifts_of_new(self.database, self.session, sent)
        settle(self.database, self.session, LEDGER, effects)
        for delivery_id, outcome in self.outcomes.items() if settled else ():
            self._note(delivery_id, outcome)

    def look_again(self, organization_id: ObjectId) -> int:
        """Tie stored unmatched events that could not be tied when they came."""
        events = late_events.due_again(self.database, self.session, organization_id)
        tied = late_events.tie_late(self.database, self.session, organization_id, events)
        if tied:
            effects = self.count(tied, {})
            late_events.write(self.database, self.session, tied)
            settle(self.database, self.session, LEDGER, effects)
        return len(events)

    def count(self, events: list[Row], emails: dict[ObjectId, Row]) -> Changes:
        """What events that are now tied change of their emails."""
        wanted = {event["email_id"] for event in events}
        rows = late_events.with_rows(self.database, self.session, emails, wanted)
        return arrive(self.database, self.session, events, rows, self.rule)

    def _new_events(self, emails: Mapping[ObjectId, Row]) -> list[Row]:
        """The rows of events that are not stored yet, with their emails where these are known."""
        stored, claimed = self._stored(), set[Key]()
        new: list[tuple[Row, sendgrid.Report]] = []
        for report, delivery_id, item in self.reports:
            keys = _keys(report)
            known = next((stored[key] for key in keys if key in stored), None)
            counts = self.outcomes[delivery_id].counts
            if known and (known["delivery_id"], known["item"]) == (delivery_id, item):
                # This very delivery was tallied before.
                counts["counted_events" if "email_id" in known else "unmatched_events"] += 1
            elif known or claimed & keys:
                counts["repeated_events"] += 1
            else:
                new.append((to_row(report, self.organization_id, delivery_id, item), report))
            claimed |= keys
        self._tie(new, emails)
        for event, _ in new:
            counts = self.outcomes[event["delivery_id"]].counts
            counts["counted_events" if "email_id" in event else "unmatched_events"] += 1
        return [event for event, _ in new]

    def _tie(self, new: list[tuple[Row, sendgrid.Report]], emails: Mapping[ObjectId, Row]) -> None:
        learned = {
            key: named
            for event, report in new
            if (named := email_id_of(report.email_ref)) is not None
            and named in emails
            and (key := message_key(event))
        }
        tying = Tying(self.database, self.session, self.organization_id, emails, learned)
        tying.look_up(
            [event for event, report in new if email_id_of(report.email_ref) not in emails]
        )
        for event, report in new:
            if found := tying.email_of(event, email_id_of(report.email_ref)):
                event["email_id"], event["tied_by"] = found
            else:
                late_events.mark_unmatched(event, tying)

    def _stored(self) -> dict[Key, Row]:
        """The reported events that are stored already, by what they are known by."""
        identities = [report.identity for report, *_ in self.reports]
        sg_event_ids = [report.sg_event_id for report, *_ in self.reports if report.sg_event_id]
        fields = dict.fromkeys(("sg_event_id", "delivery_id", "item", "email_id"), 1)
        rows = self._find("events", identities, fields)
        if sg_event_ids:
            rows += self._find("events", {"sg_event_id": text(in_=sg_event_ids)}, fields)
        found: dict[Key, Row] = {bytes(row["_id"]): row for row in rows}
        return found | {row["sg_event_id"]: row for row in rows if "sg_event_id" in row}

    def _named_emails(self) -> dict[ObjectId, Row]:
        """The emails that events name and that are the organization's."""
        named = {email_id_of(report.email_ref) for report, *_ in self.reports} - {None}
        found = self._find("emails", {"_id": {"$in": list(named)}, "deleted_at": None})
        return {email["_id"]: email for email in found}

    def _learned(
        self, arriving: Sequence[Row], emails: Mapping[ObjectId, Row]
    ) -> list[tuple[str, Row]]:
        """Events that make a message known, with the message."""
        return [
            (key, event)
            for event in arriving
            if (key := message_key(event))
            and key not in emails.get(event["email_id"], {}).get("messages", ())
        ]

    def _late(self, learned: list[tuple[str, Row]]) -> list[Row]:
        """Stored events that can be tied because their messages are known now."""
        if not learned:
            return []
        stored = late_events.of_addresses(
            self.database,
            self.session,
            self.organization_id,
            {fold(event.get("address", "")) for _, event in learned},
        )
        messages = {key: event["email_id"] for key, event in learned}
        return late_events.tie_late(
            self.database, self.session, self.organization_id, stored, messages
        )

    def _find(self, name: str, query: Any, fields: dict[str, int] | None = None) -> list[Row]:
        """Rows of the organization, by a query or by their ids."""
        if isinstance(query, list):
            query = {"_id": {"$in": query}}
        scoped = {"organization_id": self.organization_id, **query}
        return list(self.database[name].find(scoped, fields, session=self.session))

    def _note(self, delivery_id: ObjectId, outcome: Outcome) -> None:
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
        self.database.deliveries.update_one({"_id": delivery_id}, update, session=self.session)


def _keys(report: sendgrid.Report) -> set[Key]:
    """What an event is known by; either one is enough."""
    return {report.identity, report.sg_event_id} - {None}  # type: ignore[return-value]


def _firsts(effects: Changes, email: Row) -> dict[str, Any]:
    """The first times that the events tell of this email."""
    return effects.updates["emails", email["_id"]].get("$min", {})
