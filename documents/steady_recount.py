"""The steady recount: a page of counters now and then, and all of them by and by.

It finds and tells; repairing is a person's decision (`matchback recount --repair`).
"""

from datetime import datetime
from typing import Any, Self

from mongoengine import DateTimeField, DynamicField, IntField, StringField

from documents import recount
from documents.clock import now
from documents.engine.recount import Drift
from documents.stored import Document

ONLY = "steady"


class SteadyRecount(Document):
    """How far the round has come, and what the round before it found."""

    name = StringField(primary_key=True, default=ONLY)
    collection = StringField(default=recount.COLLECTIONS[0])
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
        """Where it stands."""
        return cls.objects(name=ONLY).first() or cls()

    def step(self) -> list[Drift]:
        """Compare the next page; returns what is off in it. At the end of a round, note it."""
        page = recount.compare(self.collection, {}, self.after)
        self.compared += page.size
        self.off += len(page.drifts)
        self.after = page.last_id
        if not page.size:
            self._next_collection()
        self.save()
        return page.drifts

    def _next_collection(self) -> None:
        names = recount.COLLECTIONS
        following = names.index(self.collection) + 1 if self.collection in names else len(names)
        if following < len(names):
            self.collection = names[following]
            return
        self.last_off, self.last_compared, self.last_finished_at = self.off, self.compared, now()
        self.collection, self.compared, self.off = names[0], 0, 0
        self.round_started_at = now()

    @property
    def is_at_the_start(self) -> bool:
        """Whether a new round has not begun."""
        return self.compared == 0 and self.collection == recount.COLLECTIONS[0]


def summary() -> tuple[int, datetime] | None:
    """What the last whole round found: how many counters were off, and when it ended."""
    found: Any = SteadyRecount.objects(name=ONLY).first()
    if found is None or found.last_finished_at is None:
        return None
    return found.last_off, found.last_finished_at
