"""Stored clicks around arriving events, which the labels of both can depend on."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId

from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.event import ArchiveRow, EventRow
from documents.tracking.click_signs import ONE_SECOND, truncate_to_second
from documents.tracking.rules import MAX_CLICKS_PER_SECOND, MachineClickRule
from matchback.engine import Tx

TimeSpan = tuple[datetime, datetime]
MIN_CLICKS_PER_READ = 1000
CLICKS_PER_EMAIL = 20


def find_delivery_time(email: EmailRow, events: Iterable[EventRow]) -> datetime | None:
    """Return the earliest known time of delivery, or None."""
    known = [event["at"] for event in events if event["type"] == "delivered"]
    return min([*known, *filter(None, [email.get("delivered_at")])], default=None)


def open_spans(
    email: EmailRow, events: Sequence[EventRow], rule: MachineClickRule
) -> list[TimeSpan]:
    """Return the time spans in which stored clicks are labelled again, sorted and disjoint.

    The spans surround the arriving clicks, or lie between the old and the new time of delivery.
    """
    clicks = [event["at"] for event in events if event["type"] == "click"] if rule.links else []
    reach = rule.reach + ONE_SECOND  # a crowd covers whole seconds
    spans = [(at - reach, at + reach) for at in clicks]
    was, is_ = email.get("delivered_at"), find_delivery_time(email, events)
    if was != is_ and (email.get("clicks") or email.get("machine_clicks")):
        earliest = datetime.min.replace(year=1970, tzinfo=is_.tzinfo if is_ else None)
        first, last = sorted((is_ or earliest, was or earliest))
        spans.append((first, last))
    return merge_spans(spans, rule)


def merge_spans(spans: Iterable[TimeSpan], rule: MachineClickRule) -> list[TimeSpan]:
    """Merge spans if the clicks that decide their labels overlap."""
    gap = 2 * (rule.reach + ONE_SECOND)
    merged: list[TimeSpan] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1] + gap:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def read_stored_clicks(
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
            for row in read_without_crowds(
                tx,
                {"email_id": id_, "type": "click"},
                (start - reach, end + reach),
                MAX_CLICKS_PER_SECOND,
            )
        ]
    for row in rows:
        found[row["email_id"]].append(row)
    return found


def read_without_crowds(
    tx: Tx, query: dict[str, Any], span: TimeSpan, most: int
) -> Iterator[EventRow]:
    """Yield the clicks of a query, at most one more in each second than `most`.

    The other clicks of a crowd have a label already, and new events do not change it.
    """
    at, end = truncate_to_second(span[0]), span[1]
    while at <= end:
        found = (
            collection(tx.database, EventRow)
            .find({**query, "at": {"$gte": at, "$lte": end}}, session=tx.session)
            .sort("at", 1)
            .limit(most + 1)
        )
        rows = list(found.batch_size(most + 1))
        if len(rows) <= most:
            yield from rows
            return
        last = truncate_to_second(rows[-1]["at"])
        is_crowd = truncate_to_second(rows[0]["at"]) == last
        yield from (row for row in rows if is_crowd or row["at"] < last)
        at = last + ONE_SECOND if is_crowd else last


def read_click_times(tx: Tx, email_id: ObjectId) -> TimeSpan | None:
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
