"""Clicks that an earlier version stored under a natural key without the link's position.

SendGrid repeats a post for a day and more, and a replay repeats it at any time. So a click that was
counted before an upgrade comes again after it, under a new identity. It must not count twice. But
another click of the same second, on another link, is a click of its own. The stored post shows
which of the two it is.

When `MIGRATION` has finished, no earlier version runs. Later clicks then have no former identity in
the database, and are not looked for.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from documents.errors import Unusable
from documents.event import NO_POSITION
from documents.providers import sendgrid
from documents.rows.collections import collection
from documents.rows.event import EventRow
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.storage.process_cache import ProcessCache
from matchback.engine import Tx

KNOWN_BY = dict.fromkeys(("sg_event_id", "delivery_id", "item", "email_id", "type", "unmatched"), 1)
MIGRATION = 13
CLOCKS_DIFFER = timedelta(days=1)  # a provider's from ours, generously
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
FRESH_SECONDS = 5.0
POSTS_AT_A_TIME = 10  # each has up to 2 MB

_ended = ProcessCache[str, datetime](FRESH_SECONDS, most=16)


def known_before(
    tx: Tx, organization_id: ObjectId, reports: Iterable[sendgrid.Report]
) -> dict[bytes | str, EventRow]:
    """Return the rows of clicks that were stored under their former identity, by today's."""
    claims: defaultdict[bytes, list[sendgrid.Report]] = defaultdict(list)
    until = _end_of_former(tx.database)
    for report in reports:
        if report.former_identity and report.at < until:
            claims[report.former_identity].append(report)
    if not claims:
        return {}
    query = {
        "_id": {"$in": list(claims)},
        "organization_id": organization_id,
        "link_position": None,
    }
    rows = list(collection(tx.database, EventRow).find(query, KNOWN_BY, session=tx.session))
    positions = _positions(tx, organization_id, rows)
    return {
        report.identity: row
        for row in rows
        for report in claims[bytes(row["_id"])]
        if _is_same(row, positions.get(row["_id"]), report)
    }


def forget_end() -> None:
    """Ask the database again when the migration ended."""
    _ended.clear()


def _end_of_former(database: Database[Any]) -> datetime:
    """Return the time after which no click has a former identity; the far future if unknown."""
    if known := _ended.get(database.name):
        return known
    row = database.migrations.find_one({"_id": MIGRATION}) or {}
    end = datetime.max.replace(tzinfo=UTC)
    if "finished_at" in row:
        is_new = "started_at" not in row  # the database began with this version
        end = NEVER if is_new else row["finished_at"] + CLOCKS_DIFFER
    _ended.put(database.name, end)
    return end


def _is_same(row: EventRow, position: str | None, report: sendgrid.Report) -> bool:
    """A click whose position is not known any more counts as the same: never count twice."""
    if report.sg_event_id and report.sg_event_id == row.get("sg_event_id"):
        return True
    return position is None or position == report.link_position


def _positions(tx: Tx, organization_id: ObjectId, rows: Sequence[EventRow]) -> dict[bytes, str]:
    """Return what the stored posts tell of the positions of these clicks."""
    waiting: defaultdict[ObjectId, list[EventRow]] = defaultdict(list)
    for row in rows:
        waiting[row["delivery_id"]].append(row)
    found: dict[bytes, str] = {}
    ids = list(waiting)
    for start in range(0, len(ids), POSTS_AT_A_TIME):
        query = {"_id": {"$in": ids[start : start + POSTS_AT_A_TIME]}}
        for delivery in collection(tx.database, WebhookDeliveryRow).find(
            query, {"body": 1}, session=tx.session
        ):
            items = _items(delivery["body"])
            for row in waiting[delivery["_id"]]:
                position = _position(organization_id, row, items)
                if position:
                    found[row["_id"]] = position
    return found


def _items(body: bytes) -> list[Any]:
    try:
        return sendgrid.parse(body)
    except Unusable:
        return []


def _position(organization_id: ObjectId, row: EventRow, items: Sequence[Any]) -> str | None:
    """Return the click's position; None if its item was erased, or was never noted."""
    index = row.get("item", -1)
    if not 0 <= index < len(items):
        return None
    try:
        report = sendgrid.read(organization_id.binary, items[index])
    except Unusable:
        return None
    if (report.former_identity or report.identity) != bytes(row["_id"]):
        return None
    return report.link_position or NO_POSITION
