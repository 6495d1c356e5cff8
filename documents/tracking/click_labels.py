"""Labels of arriving clicks, and of stored clicks that these affect, in one transaction."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bson import ObjectId
from pymongo import UpdateOne

from documents.counters import LEDGER
from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.event import ArchiveRow, EventRow
from documents.storage.export_outbox import note_writes
from documents.tracking.rules import (
    MAX_CLICKS_PER_SECOND,
    ONE_SECOND,
    Click,
    MachineClickRule,
    find_machine_reasons,
    truncate_to_second,
)
from matchback.engine import Contribution, Tx, Update, add, difference

TimeSpan = tuple[datetime, datetime]
MIN_CLICKS_PER_READ = 1000
CLICKS_PER_EMAIL = 20
LABEL_EVENT_TYPES = ("click", "delivered")  # only these affect labels


@dataclass
class RelabelResult:
    """The effects of new labels on stored clicks.

    Attributes:
        change: amounts to add to counters.
        changed: number of clicks that moved between people and machines.
        click_times: for each email with such a click, the first and last stored click by a person;
            None if no such click is left.
    """

    change: Contribution = field(default_factory=dict)
    changed: int = 0
    click_times: dict[ObjectId, TimeSpan | None] = field(default_factory=dict)


def label_clicks(
    tx: Tx,
    arriving: Sequence[EventRow],
    emails: Mapping[ObjectId, EmailRow],
    rule: MachineClickRule,
) -> RelabelResult:
    """Label the arriving clicks in their rows, and the stored clicks that they affect."""
    events: defaultdict[ObjectId, list[EventRow]] = defaultdict(list)
    for event in arriving:
        if event["type"] in LABEL_EVENT_TYPES:
            events[event["email_id"]].append(event)
    spans = {
        id_: found
        for id_, batch in events.items()
        if (found := _open_spans(emails[id_], batch, rule))
    }
    stored = _stored_clicks(tx, emails, spans, rule)
    changed: list[tuple[EventRow, EventRow]] = []
    for id_, batch in events.items():
        new = [event for event in batch if event["type"] == "click"]
        delivered_at = _delivered_at(emails[id_], batch)
        changed += _judge(new, stored.get(id_, ()), spans.get(id_, ()), delivered_at, rule)
    return write_labels(tx, changed)


def relabel_stored_clicks(
    tx: Tx, emails: Mapping[ObjectId, EmailRow], rule: MachineClickRule
) -> RelabelResult:
    """Label all stored clicks of emails again."""
    clicks: defaultdict[ObjectId, list[EventRow]] = defaultdict(list)
    query = {"email_id": {"$in": list(emails)}, "type": "click"}
    for row in collection(tx.database, EventRow).find(query, session=tx.session):
        clicks[row["email_id"]].append(row)
    changed = []
    for id_, rows in clicks.items():
        times = [row["at"] for row in rows]
        span = min(times), max(times)
        changed += _judge((), rows, [span], emails[id_].get("delivered_at"), rule)
    return write_labels(tx, changed)


def _delivered_at(email: EmailRow, events: Iterable[EventRow]) -> datetime | None:
    known = [event["at"] for event in events if event["type"] == "delivered"]
    return min([*known, *filter(None, [email.get("delivered_at")])], default=None)


def _open_spans(
    email: EmailRow, events: Sequence[EventRow], rule: MachineClickRule
) -> list[TimeSpan]:
    """Return the time spans in which stored clicks are labelled again, sorted and disjoint.

    The spans surround the arriving clicks, or lie between the old and the new time of delivery.
    """
    clicks = [event["at"] for event in events if event["type"] == "click"] if rule.links else []
    reach = rule.reach + ONE_SECOND  # a crowd covers whole seconds
    spans = [(at - reach, at + reach) for at in clicks]
    was, is_ = email.get("delivered_at"), _delivered_at(email, events)
    if was != is_ and (email.get("clicks") or email.get("machine_clicks")):
        earliest = datetime.min.replace(year=1970, tzinfo=is_.tzinfo if is_ else None)
        first, last = sorted((is_ or earliest, was or earliest))
        spans.append((first, last))
    return _merged(spans, 2 * reach)


def _merged(spans: Iterable[TimeSpan], gap: timedelta) -> list[TimeSpan]:
    """Merge spans that overlap or have at most this gap between them."""
    merged: list[TimeSpan] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1] + gap:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _stored_clicks(
    tx: Tx,
    emails: Mapping[ObjectId, EmailRow],
    spans: Mapping[ObjectId, Sequence[TimeSpan]],
    rule: MachineClickRule,
) -> dict[ObjectId, list[EventRow]]:
    """Return the clicks in each span, and the clicks just outside that can decide their labels."""
    found: defaultdict[ObjectId, list[EventRow]] = defaultdict(list)
    ids = [id_ for id_ in spans if emails[id_].get("clicks") or emails[id_].get("machine_clicks")]
    if not ids:
        return found
    # One range for all emails is one index scan. A clause for each email would cost more.
    reach = rule.reach + ONE_SECOND
    start = min(spans[id_][0][0] for id_ in ids) - reach
    end = max(spans[id_][-1][1] for id_ in ids) + reach
    query = {"email_id": {"$in": ids}, "type": "click", "at": {"$gte": start, "$lte": end}}
    most = max(MIN_CLICKS_PER_READ, CLICKS_PER_EMAIL * len(ids))
    rows = list(
        collection(tx.database, EventRow)
        .find(query, session=tx.session)
        .limit(most + 1 if rule.links else 0)
    )
    if len(rows) > most and rule.links:
        rows = [
            row
            for id_ in ids
            for start, end in spans[id_]
            for row in _without_crowds(tx, id_, (start - reach, end + reach))
        ]
    for row in rows:
        found[row["email_id"]].append(row)
    return found


def _without_crowds(tx: Tx, email_id: ObjectId, span: TimeSpan) -> Iterator[EventRow]:
    """Yield the clicks of an email, at most one more in each second than the limit of a crowd.

    The other clicks of a crowd have a label already, and new events do not change it.
    """
    at, end = truncate_to_second(span[0]), span[1]
    while at <= end:
        query = {"email_id": email_id, "type": "click", "at": {"$gte": at, "$lte": end}}
        found = (
            collection(tx.database, EventRow)
            .find(query, session=tx.session)
            .sort("at", 1)
            .limit(MAX_CLICKS_PER_SECOND + 1)
        )
        rows = list(found.batch_size(MAX_CLICKS_PER_SECOND + 1))
        if len(rows) <= MAX_CLICKS_PER_SECOND:
            yield from rows
            return
        last = truncate_to_second(rows[-1]["at"])
        is_crowd = truncate_to_second(rows[0]["at"]) == last
        yield from (row for row in rows if is_crowd or row["at"] < last)
        at = last + ONE_SECOND if is_crowd else last


def _judge(
    arriving: Sequence[EventRow],
    stored: Sequence[EventRow],
    spans: Sequence[TimeSpan],
    delivered_at: datetime | None,
    rule: MachineClickRule,
) -> list[tuple[EventRow, EventRow]]:
    """Label the arriving clicks. Return the stored ones whose label changes: before and after."""
    rows = [*arriving, *stored]
    clicks = [Click(row["at"], row.get("url", ""), row.get("user_agent", "")) for row in rows]
    changed = []
    for index, (row, reason) in enumerate(
        zip(rows, find_machine_reasons(clicks, delivered_at, rule), strict=True)
    ):
        judged = row if index < len(arriving) else row.copy()
        _set_label(judged, reason)
        if judged != row and any(start <= row["at"] <= end for start, end in spans):
            changed.append((row, judged))
    return changed


def _set_label(click: EventRow, reason: str | None) -> None:
    click.pop("machine", None)
    click.pop("machine_reason", None)
    if reason:
        click["machine"] = True
        click["machine_reason"] = reason


def write_labels(tx: Tx, changed: Sequence[tuple[EventRow, EventRow]]) -> RelabelResult:
    """Store new labels of stored clicks. Return the effects."""
    result = RelabelResult()
    operations = []
    for before, after in changed:
        labels = {name: after.get(name) for name in ("machine", "machine_reason")}
        update = Update().set_or_unset(labels)
        operations.append(UpdateOne({"_id": before["_id"]}, update.operators))
        if bool(before.get("machine")) != bool(after.get("machine")):
            add(result.change, _difference(before, after))
            result.changed += 1
            result.click_times[after["email_id"]] = None
    if operations:
        tx.database.events.bulk_write(operations, ordered=False, session=tx.session)
        note_writes(tx, {"events": [before["_id"] for before, _ in changed]})
    for email_id in result.click_times:
        result.click_times[email_id] = _click_times(tx, email_id)
    return result


def _difference(before: EventRow, after: EventRow) -> Contribution:
    contribution = LEDGER.contribution
    return difference(contribution("events", after), contribution("events", before))


def _click_times(tx: Tx, email_id: ObjectId) -> TimeSpan | None:
    """Return the times of the first and last click by a person, stored or archived."""
    query = {"email_id": email_id, "type": "click", "machine": {"$ne": True}}
    times: list[datetime] = []
    for direction in (1, -1):
        row = collection(tx.database, EventRow).find_one(
            query, {"at": 1}, sort=[("at", direction)], session=tx.session
        )
        times += [row["at"]] if row else []
    archived = collection(tx.database, ArchiveRow).find_one({"_id": email_id}, session=tx.session)
    if archived:
        both = archived.get("first_clicked_at"), archived.get("last_clicked_at")
        times += [at for at in both if at]
    return (min(times), max(times)) if times else None
