"""Sums of the journal at the end of each hour, so that reading it costs the same later.

A sum includes everything before its hour. So a missing sum costs time, but changes no figure.
"""

from datetime import datetime, timedelta

from bson import ObjectId
from mongoengine import DateTimeField, StringField, get_db

from documents.history.journal import CHANGES_COLLECTION, JOURNAL
from documents.storage.base import Document
from matchback.engine import JOURNAL_HOUR, Tx

JOURNAL_PROGRESS_NAME = "hours"
# A transaction lasts at most 20 s, and the clocks of workers differ.
SUM_DELAY = timedelta(minutes=10)


class JournalProgress(Document):
    """The end of the last hour whose sums are stored."""

    name = StringField(primary_key=True, default=JOURNAL_PROGRESS_NAME)
    summed_until = DateTimeField()

    meta = {"collection": "journal_progress", "auto_create_index": False}


def sum_next_hour(at: datetime) -> bool:
    """Store the sums of the next full hour with changes. Return whether one was complete.

    Two processes that sum the same hour store the same sums.

    Args:
        at: current time.
    """
    hour = _find_next_hour()
    if hour is None or hour + JOURNAL_HOUR + SUM_DELAY > at:
        return False
    JOURNAL.sum_hour(Tx(get_db()), hour)
    get_db().journal_progress.update_one(
        {"_id": JOURNAL_PROGRESS_NAME},
        # An earlier process that was paused must not move the progress back.
        {"$max": {"summed_until": hour + JOURNAL_HOUR}},
        upsert=True,
    )
    return True


def _find_next_hour() -> datetime | None:
    """Return the start of the first hour with changes that have no sums; None without changes."""
    known = get_db().journal_progress.find_one({"_id": JOURNAL_PROGRESS_NAME})
    after = {"_id": {"$gte": ObjectId.from_datetime(known["summed_until"])}} if known else {}
    first = get_db()[CHANGES_COLLECTION].find_one(after, {"_id": 1}, sort=[("_id", 1)])
    if first is None:
        return None
    time: datetime = first["_id"].generation_time
    return time.replace(minute=0, second=0, microsecond=0)
