"""One batch of ingest: what its deliveries report, without what is stored already."""

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from documents.counters import LEDGER
from documents.erased import bodies as erased_bodies
from documents.erased import items as erased_items
from documents.event import is_erased, to_row
from documents.message import learn, message_key
from documents.providers import sendgrid
from documents.rows.collections import T, collection
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.storage.export_outbox import note
from documents.storage.marks import text
from documents.tracking import unmatched
from documents.tracking.correlation import Correlation
from documents.tracking.effects import arrive
from documents.tracking.former_clicks import KNOWN_BY, known_before
from documents.tracking.inbox import Inbox
from documents.tracking.rules import Rule
from matchback.engine import Changes, Tx, settle

Key = bytes | str
ALL = 10_000  # rows in one answer: the default is 101, and then another question


class TallyBatch:
    """Events of one organization, in one transaction.

    Args:
        inbox: the deliveries that report them; none when stored events are looked at again.
    """

    def __init__(
        self, tx: Tx, organization_id: ObjectId, rule: Rule, inbox: Inbox | None = None
    ) -> None:
        self.tx = tx
        self.organization_id = organization_id
        self.rule = rule
        self.inbox = inbox or Inbox(tx)
        self.new: list[EventRow] = []  # of the reported events, those that were not stored
        self._repeated: list[tuple[EventRow | None, ObjectId | None, ObjectId, int]] = []

    def write(self, are_new: bool = False) -> None:
        """Store the new events, and count them.

        Args:
            are_new: none is stored already. Should one be, storing it again is refused.

        Raises:
            BulkWriteError: so it was.
        """
        emails = self._named_emails()
        # MongoDB would accept a click beside its former identity, so that is looked for each time.
        reports = [reported.report for reported in self.inbox.reports]
        stored = known_before(self.tx, self.organization_id, reports)
        stored |= {} if are_new else self._stored()
        self.new = new = self._new_events(emails, stored)
        arriving = [event for event in new if "email_id" in event]
        late = self._late(learn(self.tx, arriving))
        effects = self.count([*arriving, *late], emails)
        effects.inserts["events"] = new
        note(self.tx, {"events": [event["_id"] for event in new]})
        unmatched.write(self.tx, late)
        settle(self.tx, LEDGER, effects)
        self._forget_repeated()

    def _forget_repeated(self) -> None:
        """Note the items that report once more what is known of erased people."""
        ids = {
            id_ for known, named, *_ in self._repeated for id_ in (named, _email_of(known)) if id_
        }
        query = {"_id": {"$in": list(ids)}, "erased": True}
        erased = {row["_id"] for row in self._find(EmailRow, query, {"_id": 1})} if ids else set()
        items = [
            (delivery_id, item)
            for known, named, delivery_id, item in self._repeated
            if is_erased(known) or {named, _email_of(known)} & erased
        ]
        erased_items.note(self.tx, self.organization_id, items)
        read = list(self.inbox.outcomes)
        erased_bodies.note_repeated(self.tx, self.organization_id, read)

    def look_again(self, events: list[EventRow]) -> None:
        """Tie stored unmatched events that could not be tied when they came."""
        tied = unmatched.tie_late(self.tx, self.organization_id, events)
        if tied:
            effects = self.count(tied, {})
            unmatched.write(self.tx, tied)
            settle(self.tx, LEDGER, effects)

    def count(self, events: list[EventRow], emails: dict[ObjectId, EmailRow]) -> Changes:
        """Return what events that are now tied change of their emails."""
        wanted = {event["email_id"] for event in events}
        rows = unmatched.with_rows(self.tx, emails, wanted)
        return arrive(self.tx, events, rows, self.rule)

    def _new_events(
        self, emails: Mapping[ObjectId, EmailRow], stored: Mapping[Key, EventRow]
    ) -> list[EventRow]:
        """The rows of events that are not stored yet, with their emails where these are known."""
        claimed = set[Key]()
        new: list[tuple[EventRow, ObjectId | None]] = []
        for report, named, delivery_id, item in self.inbox.reports:
            keys = _keys(report)
            known = next((stored[key] for key in keys if key in stored), None)
            counts = self.inbox.outcomes[delivery_id].counts
            if known and (known["delivery_id"], known.get("item")) == (delivery_id, item):
                # This very delivery was tallied before.
                counts["counted_events" if "email_id" in known else "unmatched_events"] += 1
            elif known or claimed & keys:
                counts["repeated_events"] += 1
                self._repeated.append((known, named, delivery_id, item))
            else:
                new.append((to_row(report, self.organization_id, delivery_id, item), named))
            claimed |= keys
        self._tie(new, emails)
        for event, _ in new:
            counts = self.inbox.outcomes[event["delivery_id"]].counts
            counts["counted_events" if "email_id" in event else "unmatched_events"] += 1
        return [event for event, _ in new]

    def _tie(
        self, new: list[tuple[EventRow, ObjectId | None]], emails: Mapping[ObjectId, EmailRow]
    ) -> None:
        learned = {
            key: named
            for event, named in new
            if named is not None and named in emails and (key := message_key(event))
        }
        tying = Correlation(self.tx, self.organization_id, emails, learned)
        tying.look_up([event for event, named in new if named not in emails])
        for event, named in new:
            if found := tying.email_of(event, named):
                event["email_id"], event["tied_by"] = found
            else:
                unmatched.mark_unmatched(event, tying)

    def _stored(self) -> dict[Key, EventRow]:
        """The reported events that are stored already, by what they are known by."""
        identities = [report.identity for report, *_ in self.inbox.reports]
        sg_event_ids = [
            report.sg_event_id for report, *_ in self.inbox.reports if report.sg_event_id
        ]
        rows = self._find(EventRow, identities, KNOWN_BY)
        if sg_event_ids:
            rows += self._find(EventRow, {"sg_event_id": text(in_=sg_event_ids)}, KNOWN_BY)
        found: dict[Key, EventRow] = {bytes(row["_id"]): row for row in rows}
        return found | {row["sg_event_id"]: row for row in rows if "sg_event_id" in row}

    def _named_emails(self) -> dict[ObjectId, EmailRow]:
        """The emails that events name and that are the organization's."""
        named = {reported.named for reported in self.inbox.reports} - {None}
        found = self._find(EmailRow, {"_id": {"$in": list(named)}, "deleted_at": None})
        return {email["_id"]: email for email in found}

    def _late(self, learned: Mapping[ObjectId, EventRow]) -> list[EventRow]:
        """Stored events that can be tied because their messages are known now."""
        if not learned:
            return []
        stored = unmatched.of_addresses(
            self.tx, self.organization_id, {event.get("address", "") for event in learned.values()}
        )
        messages = {key: event["email_id"] for key, event in learned.items()}
        return unmatched.tie_late(self.tx, self.organization_id, stored, messages)

    def _find(self, row: type[T], query: Any, fields: dict[str, int] | None = None) -> list[T]:
        """Return rows of the organization, by a query or by their IDs."""
        if isinstance(query, list):
            query = {"_id": {"$in": query}}
        scoped = {"organization_id": self.organization_id, **query}
        rows = collection(self.tx.database, row)
        found = rows.find(scoped, fields, session=self.tx.session)
        return list(found.batch_size(ALL))


def _email_of(event: EventRow | None) -> ObjectId | None:
    return event.get("email_id") if event else None


def _keys(report: sendgrid.Report) -> set[Key]:
    """What an event is known by; either one is enough."""
    return {report.identity, report.sg_event_id} - {None}  # type: ignore[return-value]
