"""Background recount: compares one page of counters at a time until all have been checked.

It reports incorrect counters. A person decides whether to repair them (`matchback recount
--repair`).
"""

from datetime import datetime
from typing import Any, Self

from mongoengine import DateTimeField, DynamicField, IntField, StringField

from documents.recount import recount
from documents.storage.base import Document
from documents.values.time import now
from matchback.engine import Drift

RECOUNT_NAME = "steady"
RECOUNTED_ROWS_PER_STEP = 1_000  # few, so that settling in the same process does not slow down


class SteadyRecount(Document):
    """The progress of this round, and the result of the last one."""

    name = StringField(primary_key=True, default=RECOUNT_NAME)
    collection = StringField(default=recount.COUNTED_COLLECTIONS[0])
    after = DynamicField()
    compared = IntField(default=0)
    off = IntField(default=0)
    round_started_at = DateTimeField(default=now)
    last_off = IntField()
    last_compared = IntField()
    last_finished_at = DateTimeField()

    meta = {"collection": "recounts", "auto_create_index": False}

    @classmethod
    def current(cls) -> Self:
        """Return the stored progress, or a new record before the first step."""
        return cls.objects(name=RECOUNT_NAME).first() or cls()

    def step(self) -> list[Drift]:
        """Compare the next page and return its incorrect counters.

        Store the result of a finished round.
        """
        page = recount.compare_counters(self.collection, {}, self.after, RECOUNTED_ROWS_PER_STEP)
        self.compared += page.size
        self.off += len(page.drifts)
        self.after = page.last_id
        if not page.size:
            self._next_collection()
        self.save()
        return page.drifts

    def _next_collection(self) -> None:
        names = recount.COUNTED_COLLECTIONS
        following = names.index(self.collection) + 1 if self.collection in names else len(names)
        if following < len(names):
            self.collection = names[following]
            return
        self.last_off, self.last_compared, self.last_finished_at = self.off, self.compared, now()
        self.collection, self.compared, self.off = names[0], 0, 0
        self.round_started_at = now()

    @property
    def is_at_start(self) -> bool:
        """True if the next round has not begun."""
        return bool(self.compared == 0 and self.collection == recount.COUNTED_COLLECTIONS[0])


def find_last_result() -> tuple[int, datetime] | None:
    """Return the number of incorrect counters in the last full round, and the time of its end."""
    found: Any = SteadyRecount.objects(name=RECOUNT_NAME).first()
    if found is None or found.last_finished_at is None:
        return None
    return found.last_off, found.last_finished_at
