"""Progress of the history: the hours that have sums, and the time before which rows are deleted."""

from datetime import datetime
from typing import NotRequired, TypedDict

from mongoengine import DateTimeField, StringField, get_db

from documents.fundraiser import Fundraiser
from documents.history.journal import find_journal_start
from documents.mailing import Mailing
from documents.storage.base import Document
from matchback.engine import Tx

JOURNAL_PROGRESS_NAME = "hours"


class JournalProgress(Document):
    """One row for the whole database.

    summed_until: the end of the last hour whose sums are stored.
    kept_from: a full hour. Retention deletes older rows, so earlier figures are not known.
    """

    name = StringField(primary_key=True, default=JOURNAL_PROGRESS_NAME)
    summed_until = DateTimeField()
    kept_from = DateTimeField()

    meta = {"collection": "journal_progress", "auto_create_index": False}


class JournalProgressRow(TypedDict):
    """The stored form of `JournalProgress`."""

    summed_until: NotRequired[datetime]
    kept_from: NotRequired[datetime]


def read_progress(tx: Tx) -> JournalProgressRow:
    """Return the progress, which is empty before the first sums."""
    row: JournalProgressRow | None
    row = tx.database.journal_progress.find_one({"_id": JOURNAL_PROGRESS_NAME}, session=tx.session)
    return {} if row is None else row


def find_history_start(of: Fundraiser | Mailing) -> datetime | None:
    """Return the earliest time whose figures are known; None if there is none.

    Retention can make it later at any moment.
    """
    start = find_journal_start(of)
    if start is None:
        return None
    return max(start, read_progress(Tx(get_db())).get("kept_from", start))


def raise_progress(**times: datetime) -> None:
    """Store these times, unless later ones are known.

    A paused process must not move the progress back.
    """
    get_db().journal_progress.update_one(
        {"_id": JOURNAL_PROGRESS_NAME}, {"$max": times}, upsert=True
    )
