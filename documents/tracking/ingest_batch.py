"""One batch of ingest: the reports of its deliveries, without events that are stored already."""

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from documents.counters import LEDGER
from documents.erased import bodies as erased_bodies
from documents.erased import items as erased_items
from documents.event import (
    drop_unread_fields,
    is_erased_event,
    make_report_key,
    to_event_row,
)
from documents.message import make_message_key, store_new_messages
from documents.providers.report import EventReport
from documents.rows.collections import T, collection
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.storage.export_outbox import note_writes
from documents.storage.marks import build_text_condition
from documents.tracking import unmatched
from documents.tracking.correlation import Correlation
from documents.tracking.effects import compute_event_changes
from documents.tracking.former_clicks import FORMER_CLICK_FIELDS, find_former_clicks
from documents.tracking.former_rows import may_have_former_rows, read_report_key
from documents.tracking.inbox import Inbox
from documents.tracking.rules import MachineClickRule
from documents.tracking.shared_messages import drop_foreign_references
from matchback.engine import Changes, Tx, settle

EventKey = bytes
MAX_ROWS_PER_ANSWER = 10_000  # the default first answer has 101 rows and needs another round trip


class TallyBatch:
    """Events of one organization, in one transaction.

    Args:
        inbox: deliveries that report the events; None to check stored events again.
    """

    def __init__(
        self, tx: Tx, organization_id: ObjectId, rule: MachineClickRule, inbox: Inbox | None = None
    ) -> None:
        self.tx = tx
        self.organization_id = organization_id
        self.rule = rule
        self.inbox = inbox or Inbox(tx)
        self.new: list[EventRow] = []  # reported events that were not stored before
        self._repeated: list[tuple[EventRow | None, ObjectId | None, ObjectId, int]] = []

    def write(self, are_new: bool = False) -> None:
        """Store the new events and count them.

        Args:
            are_new: assume that no event is stored, and skip the search for stored events.

        Raises:
            BulkWriteError: an event is stored already.
        """
        emails = self._named_emails()
        self.inbox.reports = drop_foreign_references(self.tx, self.inbox.reports, emails)
        # MongoDB would accept a click beside its former identity, so this search is always
        # necessary.
        reports = [reported.report for reported in self.inbox.reports]
        stored = find_former_clicks(self.tx, self.organization_id, reports)
        stored |= {} if are_new else self._stored()
        self.new = new = self._new_events(emails, stored)
        arriving = [event for event in new if "email_id" in event]
        late = self._late(store_new_messages(self.tx, arriving))
        effects = self.count([*arriving, *late], emails)
        has_former = may_have_former_rows(self.tx.database)
        for event in new:
            drop_unread_fields(event, keeps_tie=has_former)
        effects.inserts["events"] = new
        note_writes(self.tx, {"events": [event["_id"] for event in new]})
        unmatched.write_matched_events(self.tx, late)
        settle(self.tx, LEDGER, effects)
        self._forget_repeated()

    def _forget_repeated(self) -> None:
        """Record repeated items about erased people, so that erasure removes them."""
        ids = {
            id_ for known, named, *_ in self._repeated for id_ in (named, _email_of(known)) if id_
        }
        query = {"_id": {"$in": list(ids)}, "erased": True}
        erased = {row["_id"] for row in self._find(EmailRow, query, {"_id": 1})} if ids else set()
        items = [
            (delivery_id, item)
            for known, named, delivery_id, item in self._repeated
            if is_erased_event(known) or {named, _email_of(known)} & erased
        ]
        erased_items.note_items(self.tx, self.organization_id, items)
        read = list(self.inbox.outcomes)
        erased_bodies.note_repeated_posts(self.tx, self.organization_id, read)

    def retry_unmatched(self, events: list[EventRow]) -> None:
        """Tie stored events that had no email when they arrived."""
        tied = unmatched.match_unmatched_events(self.tx, self.organization_id, events)
        if tied:
            effects = self.count(tied, {})
            unmatched.write_matched_events(self.tx, tied)
            settle(self.tx, LEDGER, effects)

    def count(self, events: list[EventRow], emails: dict[ObjectId, EmailRow]) -> Changes:
        """Return the changes that newly tied events make to their emails."""
        wanted = {event["email_id"] for event in events}
        rows = unmatched.read_missing_emails(self.tx, emails, wanted)
        return compute_event_changes(self.tx, events, rows, self.rule)

    def _new_events(
        self, emails: Mapping[ObjectId, EmailRow], stored: Mapping[EventKey, EventRow]
    ) -> list[EventRow]:
        """Return the rows of events that are not stored yet, with their emails if known."""
        claimed = set[EventKey]()
        has_former = may_have_former_rows(self.tx.database)
        new: list[tuple[EventRow, ObjectId | None]] = []
        for report, named, delivery_id, item in self.inbox.reports:
            event = to_event_row(report, self.organization_id, delivery_id, item)
            keys = _list_keys(report, event)
            known = next((stored[key] for key in keys if key in stored), None) if stored else None
            counts = self.inbox.outcomes[delivery_id].counts
            if known and (known["delivery_id"], known.get("item")) == (delivery_id, item):
                # An earlier attempt tallied the same delivery.
                counts["counted_events" if "email_id" in known else "unmatched_events"] += 1
            elif known or not claimed.isdisjoint(keys):
                counts["repeated_events"] += 1
                self._repeated.append((known, named, delivery_id, item))
            else:
                if has_former and report.provider_event_id:
                    event["sg_event_id"] = report.provider_event_id
                new.append((event, named))
            claimed.update(keys)
        self._tie(new, emails)
        for event, _ in new:
            counts = self.inbox.outcomes[event["delivery_id"]].counts
            counts["counted_events" if "email_id" in event else "unmatched_events"] += 1
        return [event for event, _ in new]

    def _tie(
        self, new: list[tuple[EventRow, ObjectId | None]], emails: Mapping[ObjectId, EmailRow]
    ) -> None:
        unnamed = [event for event, named in new if named not in emails]
        tying = Correlation(self.tx, self.organization_id, emails, _learn(new, emails, unnamed))
        tying.read_candidates(unnamed)
        for event, named in new:
            if found := tying.email_of(event, named):
                event["email_id"], event["tied_by"] = found
            else:
                unmatched.mark_unmatched(event, tying)

    def _stored(self) -> dict[EventKey, EventRow]:
        """Return the reported events that are stored already, by each of their keys."""
        reports = [reported.report for reported in self.inbox.reports]
        rows = self._find(EventRow, [report.identity for report in reports], FORMER_CLICK_FIELDS)
        ids = {report.provider_event_id for report in reports if report.provider_event_id}
        keys = [make_report_key(self.organization_id, id_) for id_ in ids]
        rows += self._find(EventRow, {"report_key": {"$in": keys}}, FORMER_CLICK_FIELDS)
        if may_have_former_rows(self.tx.database):
            query = {"sg_event_id": build_text_condition(in_=list(ids))}
            rows += self._find(EventRow, query, FORMER_CLICK_FIELDS)
        found: dict[EventKey, EventRow] = {bytes(row["_id"]): row for row in rows}
        keyed = ((read_report_key(self.organization_id, row), row) for row in rows)
        return found | {key.binary: row for key, row in keyed if key is not None}

    def _named_emails(self) -> dict[ObjectId, EmailRow]:
        """Return the organization's emails that the events name."""
        named = {reported.named for reported in self.inbox.reports} - {None}
        found = self._find(EmailRow, {"_id": {"$in": list(named)}, "deleted_at": None})
        return {email["_id"]: email for email in found}

    def _late(self, learned: Mapping[ObjectId, EventRow]) -> list[EventRow]:
        """Return stored events that can be tied because the batch made their messages known."""
        if not learned:
            return []
        stored = unmatched.find_events_to_addresses(
            self.tx, self.organization_id, {event.get("address", "") for event in learned.values()}
        )
        messages = {key: event["email_id"] for key, event in learned.items()}
        tied = unmatched.match_unmatched_events(self.tx, self.organization_id, stored, messages)
        unmatched.check_bounces_later(self.tx, stored)
        return tied

    def _find(self, row: type[T], query: Any, fields: dict[str, int] | None = None) -> list[T]:
        """Return rows of the organization, by a query or by their IDs."""
        if isinstance(query, list):
            query = {"_id": {"$in": query}}
        scoped = {"organization_id": self.organization_id, **query}
        rows = collection(self.tx.database, row)
        found = rows.find(scoped, fields, session=self.tx.session)
        return list(found.batch_size(MAX_ROWS_PER_ANSWER))


def _email_of(event: EventRow | None) -> ObjectId | None:
    return event.get("email_id") if event else None


def _list_keys(report: EventReport, event: EventRow) -> tuple[EventKey, ...]:
    """Return the keys of an event as bytes, whose hash is fast. Either key identifies it."""
    key = event.get("report_key")
    return (report.identity, key.binary) if key else (report.identity,)


def _learn(
    new: list[tuple[EventRow, ObjectId | None]],
    emails: Mapping[ObjectId, EmailRow],
    unnamed: list[EventRow],
) -> dict[ObjectId, ObjectId]:
    """Return the emails of the messages in a batch, if any event may need them."""
    if not unnamed:
        return {}
    return {
        key: named
        for event, named in new
        if named is not None and named in emails and (key := make_message_key(event))
    }
