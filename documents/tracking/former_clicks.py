"""Clicks that an earlier version stored under a natural key without the link's position.

SendGrid may repeat a POST for more than a day, and a replay may repeat it at any time. So a click
that was counted before an upgrade can arrive again, under a new identity. It must count once.

A click on another link in the same second is a separate click. The stored body shows whether a
click is a repetition.

After `FORMER_CLICKS_MIGRATION` has finished, no earlier version runs. Later clicks have no former
identity in the database, so this module does not search for one.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from documents.errors import Unusable
from documents.event import NO_LINK_POSITION, make_report_key
from documents.providers import sendgrid
from documents.providers.provider import parse_items
from documents.providers.report import EventReport
from documents.rows.collections import collection
from documents.rows.event import EventRow
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.storage.process_cache import ProcessCache
from documents.tracking.former_rows import read_report_key
from matchback.engine import Tx

FORMER_CLICK_FIELDS = dict.fromkeys(
    ("report_key", "sg_event_id", "delivery_id", "item", "email_id", "type", "unmatched"), 1
)
FORMER_CLICKS_MIGRATION = 13
# generous limit for the difference between the provider's clock and this clock
MAX_CLOCK_DIFFERENCE = timedelta(days=1)
NO_FORMER_CLICKS_TIME = datetime(1970, 1, 1, tzinfo=UTC)
MIGRATION_END_CACHE_SECONDS = 5.0
POSTS_PER_READ = 10  # each has up to 2 MB

_ended = ProcessCache[str, datetime](MIGRATION_END_CACHE_SECONDS, most=16)


def find_former_clicks(
    tx: Tx, organization_id: ObjectId, reports: Iterable[EventReport]
) -> dict[bytes, EventRow]:
    """Return the clicks that are stored under a former identity, by their current identity."""
    claims: defaultdict[bytes, list[EventReport]] = defaultdict(list)
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
    rows = list(
        collection(tx.database, EventRow).find(query, FORMER_CLICK_FIELDS, session=tx.session)
    )
    positions = _positions(tx, organization_id, rows)
    return {
        report.identity: row
        for row in rows
        for report in claims[bytes(row["_id"])]
        if _is_same(organization_id, row, positions.get(row["_id"]), report)
    }


def forget_migration_end() -> None:
    """Clear the cached end of the migration, so that the next call reads it."""
    _ended.clear()


def _end_of_former(database: Database[Any]) -> datetime:
    """Return the time after which no click has a former identity; the far future if unknown."""
    if known := _ended.get(database.name):
        return known
    row = database.migrations.find_one({"_id": FORMER_CLICKS_MIGRATION}) or {}
    end = datetime.max.replace(tzinfo=UTC)
    if "finished_at" in row:
        is_new = "started_at" not in row  # the database was created with this version
        end = NO_FORMER_CLICKS_TIME if is_new else row["finished_at"] + MAX_CLOCK_DIFFERENCE
    _ended.put(database.name, end)
    return end


def _is_same(
    organization_id: ObjectId, row: EventRow, position: str | None, report: EventReport
) -> bool:
    """Return whether both are the same click.

    An unknown position counts as the same click, because an undercount is better than a
    double count.
    """
    if report.provider_event_id:
        key = make_report_key(organization_id, report.provider_event_id)
        if key == read_report_key(organization_id, row):
            return True
    return position is None or position == report.link_position


def _positions(tx: Tx, organization_id: ObjectId, rows: Sequence[EventRow]) -> dict[bytes, str]:
    """Return the positions of these clicks that the stored bodies contain."""
    waiting: defaultdict[ObjectId, list[EventRow]] = defaultdict(list)
    for row in rows:
        waiting[row["delivery_id"]].append(row)
    found: dict[bytes, str] = {}
    ids = list(waiting)
    for start in range(0, len(ids), POSTS_PER_READ):
        query = {"_id": {"$in": ids[start : start + POSTS_PER_READ]}}
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
        return parse_items(body)
    except Unusable:
        return []


def _position(organization_id: ObjectId, row: EventRow, items: Sequence[Any]) -> str | None:
    """Return the click's position. Return None if its item was erased or never recorded."""
    index = row.get("item", -1)
    if not 0 <= index < len(items):
        return None
    try:
        report = sendgrid.read_event_report(organization_id.binary, items[index])
    except Unusable:
        return None
    if (report.former_identity or report.identity) != bytes(row["_id"]):
        return None
    return report.link_position or NO_LINK_POSITION
