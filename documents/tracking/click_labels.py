"""Labels of clicks in a transaction: of arriving clicks, and of stored ones that these affect."""

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
from documents.storage.export_outbox import note
from documents.tracking.rules import CROWD, SECOND, Click, Rule, reasons, second_of
from matchback.engine import Contribution, Tx, Update, add, difference

Span = tuple[datetime, datetime]
ROWS_AT_ONCE = 1000
ROWS_AN_EMAIL = 20


@dataclass
class Relabelled:
    """What judging stored clicks anew made of them.

    change: what is to be added to counters.
    click_times: of each email with such a click, the first and last that a person made, of those
        stored; None where there is none left.
    """

    change: Contribution = field(default_factory=dict)
    changed: int = 0  # how many clicks changed sides
    click_times: dict[ObjectId, Span | None] = field(default_factory=dict)


def label(
    tx: Tx, arriving: Sequence[EventRow], emails: Mapping[ObjectId, EmailRow], rule: Rule
) -> Relabelled:
    """Judge the arriving clicks, in their rows, and the stored ones that depend on what arrives."""
    events: defaultdict[ObjectId, list[EventRow]] = defaultdict(list)
    for event in arriving:
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
    return write(tx, changed)


def judge_all(tx: Tx, emails: Mapping[ObjectId, EmailRow], rule: Rule) -> Relabelled:
    """Judge all stored clicks of emails anew."""
    clicks: defaultdict[ObjectId, list[EventRow]] = defaultdict(list)
    query = {"email_id": {"$in": list(emails)}, "type": "click"}
    for row in collection(tx.database, EventRow).find(query, session=tx.session):
        clicks[row["email_id"]].append(row)
    changed = []
    for id_, rows in clicks.items():
        times = [row["at"] for row in rows]
        span = min(times), max(times)
        changed += _judge((), rows, [span], emails[id_].get("delivered_at"), rule)
    return write(tx, changed)


def _delivered_at(email: EmailRow, events: Iterable[EventRow]) -> datetime | None:
    known = [event["at"] for event in events if event["type"] == "delivered"]
    return min([*known, *filter(None, [email.get("delivered_at")])], default=None)


def _open_spans(email: EmailRow, events: Sequence[EventRow], rule: Rule) -> list[Span]:
    """Return the times within which stored clicks are judged again, in order and disjoint.

    These are near the arriving clicks, and between two known times of delivery.
    """
    clicks = [event["at"] for event in events if event["type"] == "click"] if rule.links else []
    reach = rule.reach + SECOND  # a crowd reaches whole seconds
    spans = [(at - reach, at + reach) for at in clicks]
    was, is_ = email.get("delivered_at"), _delivered_at(email, events)
    if was != is_ and (email.get("clicks") or email.get("machine_clicks")):
        earliest = datetime.min.replace(year=1970, tzinfo=is_.tzinfo if is_ else None)
        first, last = sorted((is_ or earliest, was or earliest))
        spans.append((first, last))
    return _merged(spans, 2 * reach)


def _merged(spans: Iterable[Span], gap: timedelta) -> list[Span]:
    """Join the spans that overlap or are at most this far apart."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1] + gap:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _stored_clicks(
    tx: Tx,
    emails: Mapping[ObjectId, EmailRow],
    spans: Mapping[ObjectId, Sequence[Span]],
    rule: Rule,
) -> dict[ObjectId, list[EventRow]]:
    """Return the clicks in each span, and those just outside that decide over them."""
    found: defaultdict[ObjectId, list[EventRow]] = defaultdict(list)
    ids = [id_ for id_ in spans if emails[id_].get("clicks") or emails[id_].get("machine_clicks")]
    if not ids:
        return found
    # One range for all is one walk through the index; a clause for each email would cost more.
    reach = rule.reach + SECOND
    start = min(spans[id_][0][0] for id_ in ids) - reach
    end = max(spans[id_][-1][1] for id_ in ids) + reach
    query = {"email_id": {"$in": ids}, "type": "click", "at": {"$gte": start, "$lte": end}}
    most = max(ROWS_AT_ONCE, ROWS_AN_EMAIL * len(ids))
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


def _without_crowds(tx: Tx, email_id: ObjectId, span: Span) -> Iterator[EventRow]:
    """Yield the clicks of an email, of each second at most one more than makes a crowd.

    The others of a crowd have their label already, and nothing changes it.
    """
    at, end = second_of(span[0]), span[1]
    while at <= end:
        query = {"email_id": email_id, "type": "click", "at": {"$gte": at, "$lte": end}}
        found = (
            collection(tx.database, EventRow)
            .find(query, session=tx.session)
            .sort("at", 1)
            .limit(CROWD + 1)
        )
        rows = list(found.batch_size(CROWD + 1))
        if len(rows) <= CROWD:
            yield from rows
            return
        last = second_of(rows[-1]["at"])
        is_crowd = second_of(rows[0]["at"]) == last
        yield from (row for row in rows if is_crowd or row["at"] < last)
        at = last + SECOND if is_crowd else last


def _judge(
    arriving: Sequence[EventRow],
    stored: Sequence[EventRow],
    spans: Sequence[Span],
    delivered_at: datetime | None,
    rule: Rule,
) -> list[tuple[EventRow, EventRow]]:
    """Label the arriving clicks. Returns the stored ones whose label changes: before and after."""
    rows = [*arriving, *stored]
    clicks = [Click(row["at"], row.get("url", ""), row.get("user_agent", "")) for row in rows]
    changed = []
    for index, (row, reason) in enumerate(
        zip(rows, reasons(clicks, delivered_at, rule), strict=True)
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


def write(tx: Tx, changed: Sequence[tuple[EventRow, EventRow]]) -> Relabelled:
    """Store new labels of stored clicks, and say what that changes."""
    result = Relabelled()
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
        note(tx, {"events": [before["_id"] for before, _ in changed]})
    for email_id in result.click_times:
        result.click_times[email_id] = _click_times(tx, email_id)
    return result


def _difference(before: EventRow, after: EventRow) -> Contribution:
    contribution = LEDGER.contribution
    return difference(contribution("events", after), contribution("events", before))


def _click_times(tx: Tx, email_id: ObjectId) -> Span | None:
    """When a person clicked first and last, of the clicks that are stored and those archived."""
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
