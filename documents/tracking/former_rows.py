"""Event rows of an earlier version, which have the provider's ID itself, and no `report_key`.

A migration gives every row the current form, while workers count events. Meanwhile, an event is a
repetition if a row has its ID in either form. New rows have both forms. So each of the two unique
indexes keeps out a repetition, also in a worker of the earlier version. New rows also keep
`tied_by`, because a warehouse worker of the earlier version exports it.

The index of the former IDs shows that the migration has not finished, because the upgrade drops it
at the end. A new database never has this index.
"""

from typing import Any

from bson import ObjectId
from pymongo.database import Database

from documents.event import make_report_key
from documents.rows.event import EventRow
from documents.storage.process_cache import ProcessCache

FORMER_ID_INDEX = "organization_id_1_sg_event_id_1"
EVENT_ROWS_MIGRATION = 24
INDEX_CACHE_SECONDS = 5.0

# A stale value only costs time: rows get a former ID that no reader needs.
_known = ProcessCache[str, bool](INDEX_CACHE_SECONDS, most=16)


def may_have_former_rows(database: Database[Any]) -> bool:
    """Return whether rows may have the former form."""
    known = _known.get(database.name)
    if known is None:
        known = FORMER_ID_INDEX in database.events.index_information()
        _known.put(database.name, known)
    return known


def forget_former_index() -> None:
    """Clear the cached state, so that the next call reads it."""
    _known.clear()


def read_report_key(organization_id: ObjectId, row: EventRow) -> ObjectId | None:
    """Return the key of the provider's ID in a row of either form, or None without an ID."""
    if "report_key" in row:
        return row["report_key"]
    former = row.get("sg_event_id")
    return make_report_key(organization_id, former) if former else None
