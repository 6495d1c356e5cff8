"""Retention of the history: deletion of changes that exceed the age in the settings.

For each record, the last sum before the remaining changes stays. It includes all deleted ones, so
every later figure stays exact. Earlier figures are not known any longer, so `check_past_time` in
reports/past_report.py rejects their times.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.history.change_sums import GIFT_CHANGES_COLLECTION, make_sum_target
from documents.history.hours import floor_hour
from documents.history.journal import CHANGES_COLLECTION, SUMS_COLLECTION
from documents.history.progress import raise_progress, read_progress
from matchback.engine import JOURNAL_HOUR, Tx

DROPPED_CHANGES_PER_STEP = 2_000
# By collection of changes: the `of` of a change's sums.
SUM_TARGETS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    CHANGES_COLLECTION: lambda change: change["of"],
    GIFT_CHANGES_COLLECTION: lambda change: make_sum_target(change["fundraiser_id"]),
}
SUM_TARGET_FIELDS = ("of", "fundraiser_id")


def drop_old_changes(before: datetime) -> int:
    """Drop some changes from before the full hour of a time. Return how many.

    Keep changes that no sum includes yet. A killed process loses nothing: the limit is stored
    first, and old sums leave before the changes that name them.
    """
    summed_until = read_progress(Tx(get_db())).get("summed_until")
    if summed_until is None:
        return 0
    raise_progress(kept_from=min(floor_hour(before), summed_until))
    kept_from = read_progress(Tx(get_db()))["kept_from"]
    return sum(_drop_from(name, kept_from) for name in SUM_TARGETS)


def _drop_from(name: str, kept_from: datetime) -> int:
    """Drop some changes of the oldest hour of a collection."""
    changes = get_db()[name]
    first = changes.find_one(_build_id_query(kept_from), {"_id": 1}, sort=[("_id", 1)])
    if first is None:
        return 0
    end = floor_hour(first["_id"].generation_time) + JOURNAL_HOUR
    found = changes.find(_build_id_query(end), SUM_TARGET_FIELDS).sort("_id", 1)
    old = list(found.limit(DROPPED_CHANGES_PER_STEP))
    _drop_sums({SUM_TARGETS[name](change) for change in old}, end)
    dropped: int = changes.delete_many({"_id": {"$in": [one["_id"] for one in old]}}).deleted_count
    return dropped


def _build_id_query(before: datetime) -> dict[str, Any]:
    """Return the condition of the changes before a time. Their IDs have the time of the change."""
    return {"_id": {"$lt": ObjectId.from_datetime(before)}}


def _drop_sums(targets: Iterable[Any], end: datetime) -> None:
    """Drop the sums of targets from before an hour's end, if they have the sums of that time."""
    sums = get_db()[SUMS_COLLECTION]
    have_sums = sums.distinct("of", {"of": {"$in": list(targets)}, "at": end})
    sums.delete_many({"of": {"$in": have_sums}, "at": {"$lt": end}})
