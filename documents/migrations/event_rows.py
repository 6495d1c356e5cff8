"""Event rows with a digest of the provider's ID, and without the fields that no reader needs."""

from typing import Any

from pymongo import UpdateOne

from documents.event import drop_unread_fields
from documents.rows.event import EventRow
from documents.tracking.former_rows import read_report_key
from matchback.engine import Tx

FORMER_FIELDS = {"sg_event_id", "user_agent"}  # that an unmatched event can lose


def shorten_event_rows(tx: Tx, rows: list[EventRow]) -> None:
    """Give events their current form. Counters do not change, because these fields do not count."""
    changed = [(row, new) for row in rows if (new := _shorten(row)) != row]
    if not changed:
        return
    others = _find_holders(tx, [new for _, new in changed if "report_key" in new])
    for _, new in changed:
        if others.get(new.get("report_key"), new["_id"]) != new["_id"]:
            # A worker of the earlier version ran beside this one and counted the report twice.
            del new["report_key"]
    _update(tx, [new for _, new in changed if "unmatched" in new])
    _replace(tx, [new for _, new in changed if "unmatched" not in new])


def rename_message_ids(tx: Tx, rows: list[EventRow]) -> None:
    """Rename `sg_message_id`, because the field now holds the message ID of any provider."""
    operations = [
        UpdateOne({"_id": row["_id"]}, {"$rename": {"sg_message_id": "message_id"}})
        for row in rows
        if "sg_message_id" in row
    ]
    if operations:
        tx.database.events.bulk_write(operations, ordered=False, session=tx.session)


def _update(tx: Tx, events: list[EventRow]) -> None:
    """Update unmatched events in place, so that no mark of another process is lost meanwhile."""
    operations = [
        UpdateOne(
            {"_id": event["_id"]},
            {
                "$unset": dict.fromkeys(FORMER_FIELDS - event.keys(), ""),
                **({"$set": {"report_key": event["report_key"]}} if "report_key" in event else {}),
            },
        )
        for event in events
    ]
    if operations:
        tx.database.events.bulk_write(operations, ordered=False, session=tx.session)


def _replace(tx: Tx, events: list[EventRow]) -> None:
    """Replace events by new rows.

    Within a transaction, an update of an indexed field costs much more than a new row.
    """
    if events:
        ids = [event["_id"] for event in events]
        tx.database.events.delete_many({"_id": {"$in": ids}}, session=tx.session)
        tx.database.events.insert_many(events, ordered=False, session=tx.session)


def _shorten(row: EventRow) -> EventRow:
    new = row.copy()
    if key := read_report_key(row["organization_id"], row):
        new["report_key"] = key
    new.pop("sg_event_id", None)
    drop_unread_fields(new)
    return new


def _find_holders(tx: Tx, events: list[EventRow]) -> dict[Any, bytes]:
    """Return the IDs of the events that have the keys of these events already."""
    query = {
        "organization_id": {"$in": list({event["organization_id"] for event in events})},
        "report_key": {"$in": [event["report_key"] for event in events]},
    }
    found = tx.database.events.find(query, {"report_key": 1}, session=tx.session)
    return {row["report_key"]: row["_id"] for row in found.batch_size(len(events) + 1)}
