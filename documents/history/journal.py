"""The journal of the counters in reports; see matchback/engine/journal.py.

It holds numbers only, and no names or addresses. So an erasure does not change it.
"""

from datetime import datetime

from mongoengine import DateTimeField, DynamicField, StringField, get_db

from documents.fundraiser import Fundraiser
from documents.gift_day import GiftDay
from documents.mailing import Mailing
from documents.storage.base import Document
from matchback.engine import Journal

MAILINGS_JOURNAL_MIGRATION, FUNDRAISERS_JOURNAL_MIGRATION = 27, 28
CHANGES_COLLECTION, SUMS_COLLECTION = "counter_changes", "counter_sums"

JOURNAL = Journal(
    of=(Fundraiser, Mailing, GiftDay), collection=CHANGES_COLLECTION, sums=SUMS_COLLECTION
)


class CounterChange(Document):
    """The amounts that one settlement added to a fundraiser, mailing or gift day.

    of: ID of the target.
    amounts: JSON, by counter.
    """

    of = DynamicField(required=True)
    at = DateTimeField(required=True)
    amounts = StringField(required=True)

    meta = {
        "collection": CHANGES_COLLECTION,
        "auto_create_index": False,
        "indexes": [["of", "at"]],
    }


class CounterSum(Document):
    """The sum of a target's changes before a full hour `at`, as JSON by counter."""

    id = StringField(primary_key=True)
    of = DynamicField(required=True)
    at = DateTimeField(required=True)
    total = StringField(required=True)

    meta = {"collection": SUMS_COLLECTION, "auto_create_index": False, "indexes": [["of", "at"]]}


def find_journal_start(of: Fundraiser | Mailing) -> datetime | None:
    """Return the time since which the journal of a record is complete; None if none is known.

    A migration sets it on records of earlier versions. A process of an earlier version that still
    ran after the migration created records without it, but all workers kept the journal by then.
    """
    start: datetime | None = of.journal_from
    if start is None and has_journal_starts():
        start = of.created_at
    return start


def has_journal_starts() -> bool:
    """Return whether the migrations have noted when the journal of each record begins."""
    numbers = [MAILINGS_JOURNAL_MIGRATION, FUNDRAISERS_JOURNAL_MIGRATION]
    finished = {"_id": {"$in": numbers}, "finished_at": {"$ne": None}}
    found: int = get_db().migrations.count_documents(finished)
    return found == len(numbers)
