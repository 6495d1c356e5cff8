"""One batch of tallying: what its deliveries report, less what is stored already."""

import logging
from typing import Any

from bson import ObjectId
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents import rematching, sendgrid, trouble
from documents.clock import now
from documents.counters import LEDGER
from documents.engine.contribution import Contribution, Row, add
from documents.engine.settle import Changes, settle
from documents.event import times, to_row
from documents.matching import email_id_of
from documents.record import DUE, text

log = logging.getLogger(__name__)

# Eight thousand events a second with one delivery of a hundred in a transaction, eighteen
# thousand with ten: but a transaction must stay short, for it holds its mailing meanwhile.
DELIVERIES_A_BATCH = 10
EVENTS_A_BATCH = 1000
REFUSED_KEPT = 100


class TallyBatch:
    """Deliveries of one organization, in one transaction."""

    def __init__(self, database: Database, session: ClientSession) -> None:
        self.database = database
        self.session = session
        self.organization_id = ObjectId()  # of the deliveries, once they are known
        self.reports: list[tuple[sendgrid.Report, ObjectId]] = []
        self.outcomes: dict[ObjectId, dict[str, Any]] = {}

    def due_deliveries(self, group: dict[str, ObjectId]) -> list[Row]:
        found = self.database.deliveries.find(
            {**group, **DUE, **trouble.not_postponed(now())},
            sort=[("due", 1)],
            limit=DELIVERIES_A_BATCH,
            session=self.session,
        )
        batch: list[Row] = []
        events = 0
        for delivery in found:
            events += delivery["items"]
            if batch and events > EVENTS_A_BATCH:
                break
            batch.append(delivery)
            self.organization_id = delivery["organization_id"]
        return batch

    def take_in(self, delivery: Row, only: int | None = None) -> None:
        """Read what a delivery reports. What cannot be understood stops nothing else."""
        refused = []
        try:
            items = sendgrid.parse(delivery["body"])
        except ValueError:
            items, refused = [], [{"index": 0, "reason": "the body is no JSON array"}]
        for index, item in enumerate(items):
            if only not in (None, index):
                continue
            try:
                report = sendgrid.read(self.organization_id.binary, item)
            except ValueError as error:
                refused.append({"index": index, "reason": str(error)})
            else:
                self.reports.append((report, delivery["_id"]))
        if refused:
            log.warning("delivery %s: %d events refused", delivery["_id"], len(refused))
        self.outcomes[delivery["_id"]] = {
            "refused": refused[:REFUSED_KEPT],
            "counted_events": 0,
            "repeated_events": 0,
            "unmatched_events": 0,
        }

    def write(self, *, settled: bool) -> None:
        events = self._new_events()
        if events:
            self.database.events.insert_many(events, ordered=False, session=self.session)
        effects = self._effects(events)
        sent = [row for row in effects.rows["emails"] if "sent_at" in _firsts(effects, row)]
        rematching.gifts_of_new(self.database, self.session, sent)
        settle(self.database, self.session, LEDGER, effects)
        for delivery_id, outcome in self.outcomes.items() if settled else ():
            self.database.deliveries.update_one(
                {"_id": delivery_id},
                {"$set": {"tallied_at": now(), **outcome}, "$unset": {"due": "", "trouble": ""}},
                session=self.session,
            )

    def _new_events(self) -> list[Row]:
        identities, sg_event_ids = self._known()
        emails = self._emails()
        events = []
        for report, delivery_id in self.reports:
            outcome = self.outcomes[delivery_id]
            if report.identity in identities or report.sg_event_id in sg_event_ids:
                outcome["repeated_events"] += 1
                continue
            identities.add(report.identity)
            if report.sg_event_id:
                sg_event_ids.add(report.sg_event_id)
            wanted = email_id_of(report.email_ref)
            email_id = wanted if wanted in emails else None
            outcome["counted_events" if email_id else "unmatched_events"] += 1
            events.append(to_row(report, self.organization_id, delivery_id, email_id))
        return events

    def _known(self) -> tuple[set[bytes], set[str]]:
        """The identities of reported events that are stored already."""
        identities = [report.identity for report, _ in self.reports]
        sg_event_ids = [report.sg_event_id for report, _ in self.reports if report.sg_event_id]
        stored = [
            *self._find("events", {"_id": {"$in": identities}}, {"_id": 1}),
            *self._find("events", {"sg_event_id": text(in_=sg_event_ids)}, {"sg_event_id": 1}),
        ]
        return (
            {bytes(event["_id"]) for event in stored},
            {event["sg_event_id"] for event in stored if "sg_event_id" in event},
        )

    def _emails(self) -> set[ObjectId]:
        """Which of the named emails are the organization's."""
        named = {email_id_of(report.email_ref) for report, _ in self.reports} - {None}
        found = self._find("emails", {"_id": {"$in": list(named)}, "deleted_at": None}, {"_id": 1})
        return {email["_id"] for email in found}

    def _find(self, name: str, query: dict[str, Any], fields: dict[str, int]) -> list[Row]:
        scoped = {"organization_id": self.organization_id, **query}
        return list(self.database[name].find(scoped, fields, session=self.session))

    def _effects(self, events: list[Row]) -> Changes:
        increments: Contribution = {}
        updates: dict[Any, dict[str, dict[str, Any]]] = {}
        for event in events:
            if "email_id" not in event:
                continue
            add(increments, LEDGER.contribution("events", event))
            first, last = times(event)
            update = updates.setdefault(("emails", event["email_id"]), {})
            for operator, values, better in (("$min", first, min), ("$max", last, max)):
                for name, at in values.items():
                    kept = update.setdefault(operator, {})
                    kept[name] = better(kept.get(name, at), at)
        rows = self._find_rows([id_ for _, id_ in updates])
        return Changes(rows={"emails": rows}, increments=increments, updates=updates)

    def _find_rows(self, email_ids: list[ObjectId]) -> list[Row]:
        query = {"_id": {"$in": email_ids}}
        return list(self.database.emails.find(query, session=self.session)) if email_ids else []


def _firsts(effects: Changes, email: Row) -> dict[str, Any]:
    """The first times that the events tell of this email."""
    return effects.updates["emails", email["_id"]].get("$min", {})
