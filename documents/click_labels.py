"""Judging clicks in a transaction: those that arrive, and those stored that they throw light on."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents.counters import LEDGER
from documents.engine.contribution import Contribution, Row, add, difference
from documents.machine_clicks import Click, Rule, reasons
from documents.unexported import note

Span = tuple[datetime, datetime]


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
    database: Database,
    session: ClientSession,
    arriving: Sequence[Row],
    emails: Mapping[ObjectId, Row],
    rule: Rule,
) -> Relabelled:
    """Judge the arriving clicks, in their rows, and the stored ones that depend on what arrives."""
    events: defaultdict[ObjectId, list[Row]] = defaultdict(list)
    for event in arriving:
        events[event["email_id"]].append(event)
    spans = {
        id_: span for id_, batch in events.items() if (span := _open_span(emails[id_], batch, rule))
    }
    stored = _stored_clicks(database, session, emails, spans, rule)
    changed: list[tuple[Row, Row]] = []
    for id_, span in spans.items():
        new = [event for event in events[id_] if event["type"] == "click"]
        delivered_at = _delivered_at(emails[id_], events[id_])
        changed += _judge(new, stored[id_], span, delivered_at, rule)
    return write(database, session, changed)


def judge_all(
    database: Database, session: ClientSession, emails: Mapping[ObjectId, Row], rule: Rule
) -> Relabelled:
    """Judge all stored clicks of emails anew."""
    clicks: defaultdict[ObjectId, list[Row]] = defaultdict(list)
    query = {"email_id": {"$in": list(emails)}, "type": "click"}
    for row in database.events.find(query, session=session):
        clicks[row["email_id"]].append(row)
    changed = []
    for id_, rows in clicks.items():
        times = [row["at"] for row in rows]
        span = min(times), max(times)
        changed += _judge((), rows, span, emails[id_].get("delivered_at"), rule)
    return write(database, session, changed)


def _delivered_at(email: Row, events: Iterable[Row]) -> datetime | None:
    known = [event["at"] for event in events if event["type"] == "delivered"]
    return min([*known, *filter(None, [email.get("delivered_at")])], default=None)


def _open_span(email: Row, events: Sequence[Row], rule: Rule) -> Span | None:
    """From when to when clicks are to be judged: near those that arrive, and those that a newly
    known time of delivery leaves on its other side."""
    times = [
        at
        for event in events
        if event["type"] == "click"
        for at in (event["at"] - rule.reach, event["at"] + rule.reach)
    ]
    was, is_ = email.get("delivered_at"), _delivered_at(email, events)
    if was != is_ and (email.get("clicks") or email.get("machine_clicks")):
        earliest = datetime.min.replace(year=1970, tzinfo=is_.tzinfo if is_ else None)
        times += [is_ or earliest, was or earliest]
    return (min(times), max(times)) if times else None


def _stored_clicks(
    database: Database,
    session: ClientSession,
    emails: Mapping[ObjectId, Row],
    spans: Mapping[ObjectId, Span],
    rule: Rule,
) -> dict[ObjectId, list[Row]]:
    """The clicks in each span, and those just outside that decide over them."""
    found: defaultdict[ObjectId, list[Row]] = defaultdict(list)
    ids = [id_ for id_ in spans if emails[id_].get("clicks") or emails[id_].get("machine_clicks")]
    if not ids:
        return found
    # One range for all is one walk through the index; a clause for each email would cost more.
    start = min(spans[id_][0] for id_ in ids) - rule.reach
    end = max(spans[id_][1] for id_ in ids) + rule.reach
    query = {"email_id": {"$in": ids}, "type": "click", "at": {"$gte": start, "$lte": end}}
    for row in database.events.find(query, session=session):
        start, end = spans[row["email_id"]]
        if start - rule.reach <= row["at"] <= end + rule.reach:
            found[row["email_id"]].append(row)
    return found


def _judge(
    arriving: Sequence[Row],
    stored: Sequence[Row],
    span: Span,
    delivered_at: datetime | None,
    rule: Rule,
) -> list[tuple[Row, Row]]:
    """Label the arriving clicks. Returns the stored ones whose label changes: before and after."""
    rows = [*arriving, *stored]
    clicks = [Click(row["at"], row.get("url", ""), row.get("user_agent", "")) for row in rows]
    changed = []
    for index, (row, reason) in enumerate(
        zip(rows, reasons(clicks, delivered_at, rule), strict=True)
    ):
        judged = {name: value for name, value in row.items() if not name.startswith("machine")}
        if reason:
            judged |= {"machine": True, "machine_reason": reason}
        if index < len(arriving):
            row.clear()
            row.update(judged)
        elif judged != row and span[0] <= row["at"] <= span[1]:
            changed.append((row, judged))
    return changed


def write(
    database: Database, session: ClientSession, changed: Sequence[tuple[Row, Row]]
) -> Relabelled:
    """Store new labels of stored clicks, and say what that changes."""
    result = Relabelled()
    operations = []
    for before, after in changed:
        labels = {name: after[name] for name in ("machine", "machine_reason") if name in after}
        update = {"$set": labels} if labels else {"$unset": {"machine": "", "machine_reason": ""}}
        operations.append(UpdateOne({"_id": before["_id"]}, update))
        if bool(before.get("machine")) != bool(after.get("machine")):
            add(result.change, _difference(before, after))
            result.changed += 1
            result.click_times[after["email_id"]] = None
    if operations:
        database.events.bulk_write(operations, ordered=False, session=session)
        note(database, session, {"events": [before["_id"] for before, _ in changed]})
    for email_id in result.click_times:
        result.click_times[email_id] = _click_times(database, session, email_id)
    return result


def _difference(before: Row, after: Row) -> Contribution:
    contribution = LEDGER.contribution
    return difference(contribution("events", after), contribution("events", before))


def _click_times(database: Database, session: ClientSession, email_id: ObjectId) -> Span | None:
    """When a person clicked first and last, of the clicks that are stored and those archived."""
    query = {"email_id": email_id, "type": "click", "machine": {"$ne": True}}
    times: list[Any] = []
    for direction in (1, -1):
        row = database.events.find_one(query, {"at": 1}, sort=[("at", direction)], session=session)
        times += [row["at"]] if row else []
    archived = database.archives.find_one({"_id": email_id}, session=session) or {}
    times += filter(None, (archived.get(f"{which}_clicked_at") for which in ("first", "last")))
    return (min(times), max(times)) if times else None
