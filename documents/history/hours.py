"""Sums of the history at the end of each hour, so that reading it costs the same later.

A sum includes everything before its hour. So a missing sum costs time, but changes no figure.
"""

from datetime import datetime, timedelta

from bson import ObjectId
from mongoengine import get_db

from documents.history.change_sums import GIFT_CHANGES_COLLECTION, sum_changes_of_hour
from documents.history.journal import CHANGES_COLLECTION, JOURNAL
from documents.history.progress import raise_progress, read_progress
from matchback.engine import JOURNAL_HOUR, Tx

# A transaction lasts at most 20 s, and the clocks of workers differ.
SUM_DELAY = timedelta(minutes=10)


def sum_next_hour(at: datetime) -> bool:
    """Store the sums of the next full hour with changes. Return whether one was complete.

    Two processes that sum the same hour store the same sums.

    Args:
        at: current time.
    """
    hour = _find_next_hour()
    if hour is None or hour + JOURNAL_HOUR + SUM_DELAY > at:
        return False
    tx = Tx(get_db())
    JOURNAL.sum_hour(tx, hour)
    sum_changes_of_hour(tx, hour)
    raise_progress(summed_until=hour + JOURNAL_HOUR)
    return True


def _find_next_hour() -> datetime | None:
    """Return the start of the first hour with changes that have no sums; None without changes."""
    summed_until = read_progress(Tx(get_db())).get("summed_until")
    after = {"_id": {"$gte": ObjectId.from_datetime(summed_until)}} if summed_until else {}
    names = CHANGES_COLLECTION, GIFT_CHANGES_COLLECTION
    firsts = [get_db()[name].find_one(after, {"_id": 1}, sort=[("_id", 1)]) for name in names]
    times: list[datetime] = [first["_id"].generation_time for first in firsts if first]
    return floor_hour(min(times)) if times else None


def floor_hour(at: datetime) -> datetime:
    """Return the start of the hour of a time."""
    return at.replace(minute=0, second=0, microsecond=0)
