"""Labels of arriving clicks, and of stored clicks that these affect, in one transaction."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from bson import ObjectId

from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.event import EventRow
from documents.tracking.new_labels import LabelChange, RelabelResult, write_labels
from documents.tracking.rules import Click, MachineClickRule, find_machine_reasons
from documents.tracking.shared_ips import find_shared_ips, mark_shared_ips
from documents.tracking.stored_clicks import (
    TimeSpan,
    find_delivery_time,
    merge_spans,
    open_spans,
    read_stored_clicks,
)
from matchback.engine import Tx

LABEL_EVENT_TYPES = ("click", "delivered")  # only these affect labels
NO_MARKS: Mapping[bytes, bool] = {}


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
    gained = mark_shared_ips(tx, arriving, rule)
    others = _read_others(tx, emails, gained.keys() - events.keys())
    rows = {**emails, **others} if others else emails
    for id_ in others:
        events[id_] = []
    spans = _open_all_spans(rows, events, gained, rule)
    stored = read_stored_clicks(tx, rows, spans, rule)
    marks = {click["_id"]: True for clicks in gained.values() for click in clicks}
    changed: list[LabelChange] = []
    for id_, batch in events.items():
        new = [event for event in batch if event["type"] == "click"]
        delivered_at = find_delivery_time(rows[id_], batch)
        clicks = _Clicks(new, stored.get(id_, ()), spans.get(id_, ()), marks)
        changed += _judge(clicks, delivered_at, rule)
    result = write_labels(tx, changed)
    result.others = [row for id_, row in others.items() if id_ in result.click_times]
    return result


def relabel_stored_clicks(
    tx: Tx, emails: Mapping[ObjectId, EmailRow], rule: MachineClickRule
) -> RelabelResult:
    """Label all stored clicks of emails again."""
    clicks: defaultdict[ObjectId, list[EventRow]] = defaultdict(list)
    query = {"email_id": {"$in": list(emails)}, "type": "click"}
    for row in collection(tx.database, EventRow).find(query, session=tx.session):
        clicks[row["email_id"]].append(row)
    marks = find_shared_ips(tx, [row for rows in clicks.values() for row in rows], rule)
    changed = []
    for id_, rows in clicks.items():
        times = [row["at"] for row in rows]
        span = min(times), max(times)
        stored = _Clicks((), rows, [span], marks)
        changed += _judge(stored, emails[id_].get("delivered_at"), rule)
    return write_labels(tx, changed)


def _read_others(
    tx: Tx, emails: Mapping[ObjectId, EmailRow], wanted: Collection[ObjectId]
) -> dict[ObjectId, EmailRow]:
    """Return the rows of live emails. Read those that the caller does not know."""
    found = [emails[id_] for id_ in wanted if id_ in emails]
    if missing := [id_ for id_ in wanted if id_ not in emails]:
        query = {"_id": {"$in": missing}}
        found += collection(tx.database, EmailRow).find(query, session=tx.session)
    return {row["_id"]: row for row in found if not row.get("deleted_at")}


def _open_all_spans(
    emails: Mapping[ObjectId, EmailRow],
    events: Mapping[ObjectId, Sequence[EventRow]],
    gained: Mapping[ObjectId, Sequence[EventRow]],
    rule: MachineClickRule,
) -> dict[ObjectId, list[TimeSpan]]:
    """Return the time spans of each email in which stored clicks are labelled again."""
    spans = {}
    for id_, batch in events.items():
        found = open_spans(emails[id_], batch, rule)
        if clicks := gained.get(id_):
            found = merge_spans([*found, *((row["at"], row["at"]) for row in clicks)], rule)
        if found:
            spans[id_] = found
    return spans


class _Clicks(NamedTuple):
    """The clicks of one email.

    Attributes:
        spans: the times in which stored clicks get new labels.
        marks: whether stored clicks share an IP address, by ID, where this may have changed.
    """

    arriving: Sequence[EventRow]
    stored: Sequence[EventRow]
    spans: Sequence[TimeSpan]
    marks: Mapping[bytes, bool] = NO_MARKS


def _judge(
    clicks: _Clicks, delivered_at: datetime | None, rule: MachineClickRule
) -> list[LabelChange]:
    """Label the arriving clicks. Return the stored ones whose label changes: before and after."""
    judged = [*clicks.arriving, *(_mark(row, clicks.marks) for row in clicks.stored)]
    reasons = find_machine_reasons([_to_click(row) for row in judged], delivered_at, rule)
    for row, reason in zip(judged, reasons, strict=True):
        _set_label(row, reason)
    return [
        (before, after)
        for before, after in zip(clicks.stored, judged[len(clicks.arriving) :], strict=True)
        if before != after and any(start <= before["at"] <= end for start, end in clicks.spans)
    ]


def _mark(click: EventRow, marks: Mapping[bytes, bool]) -> EventRow:
    """Return a copy of the row that shows whether the click shares its IP address."""
    marked = click.copy()
    if marks.get(click["_id"], click.get("shares_ip")):
        marked["shares_ip"] = True
    else:
        marked.pop("shares_ip", None)
    return marked


def _to_click(row: EventRow) -> Click:
    return Click(
        row["at"],
        row.get("url", ""),
        row.get("user_agent", ""),
        row.get("ip_key"),
        trap="trap" in row,
        shares_ip="shares_ip" in row,
        # The provider's own knowledge arrives without a reason.
        reported="machine" in row and row.get("machine_reason", "provider") == "provider",
    )


def _set_label(click: EventRow, reason: str | None) -> None:
    click.pop("machine", None)
    click.pop("machine_reason", None)
    if reason:
        click["machine"] = True
        click["machine_reason"] = reason
