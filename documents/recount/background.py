"""Background recount: compares one page of counters at a time until all have been checked.

It reports incorrect counters. A person decides whether to repair them (`matchback recount
--repair`). One transaction stores the progress and the events about it. So a step that a kill
interrupts runs again, and reports each difference once.
"""

from datetime import datetime
from typing import Any, NamedTuple, Self

from bson import ObjectId
from mongoengine import DateTimeField, DynamicField, IntField, MapField, StringField

from documents.recount import recount
from documents.recount.drift_events import DriftsByOwner, group_by_owner, note_drifts
from documents.storage.base import Document
from documents.storage.transaction import in_transaction
from documents.values.time import now
from matchback.engine import Drift, Tx

RECOUNT_NAME = "steady"
RECOUNTED_ROWS_PER_STEP = 1_000  # few, so that settling in the same process does not slow down


class SteadyRecount(Document):
    """The progress of this round, and the result of the last one.

    Attributes:
        steps: number of steps in all rounds.
        off: number of incorrect counters in this round.
        off_of: the same for each organization that has any.
        last_off, last_off_of: the same for the last round.
    """

    name = StringField(primary_key=True, default=RECOUNT_NAME)
    collection = StringField(default=recount.COUNTED_COLLECTIONS[0])
    after = DynamicField()
    compared = IntField(default=0)
    steps = IntField()
    off = IntField(default=0)
    off_of = MapField(IntField())
    round_started_at = DateTimeField(default=now)
    last_off = IntField()
    last_off_of = MapField(IntField())
    last_compared = IntField()
    last_finished_at = DateTimeField()

    meta = {"collection": "recounts", "auto_create_index": False}

    @classmethod
    def current(cls) -> Self:
        """Return the stored progress, or a new record before the first step."""
        return cls.objects(name=RECOUNT_NAME).first() or cls()

    def step(self) -> list[Drift]:
        """Compare the next page and return its incorrect counters.

        Store the result of a finished round. If another worker has taken the step, store and return
        nothing.
        """
        page = recount.compare_counters(self.collection, {}, self.after, RECOUNTED_ROWS_PER_STEP)
        by_owner = group_by_owner(page.drifts)
        before, self.steps = self.steps, (self.steps or 0) + 1
        self.compared += page.size
        self.off += len(page.drifts)
        for owner, drifts in by_owner.items():
            self.off_of[str(owner)] = self.off_of.get(str(owner), 0) + len(drifts)
        self.after = page.last_id
        if not page.size:
            self._next_collection()
        return page.drifts if in_transaction(self._store, before, by_owner) else []

    def _store(self, tx: Tx, before: int | None, by_owner: DriftsByOwner) -> bool:
        rows, row = tx.database.recounts, self.to_mongo()
        query = {"_id": self.name, "steps": before}
        if not rows.replace_one(query, row, session=tx.session).matched_count:
            if before is not None or rows.find_one({"_id": self.name}, session=tx.session):
                return False
            rows.insert_one(row, session=tx.session)
        note_drifts(tx, by_owner, self.steps)
        return True

    def _next_collection(self) -> None:
        names = recount.COUNTED_COLLECTIONS
        following = names.index(self.collection) + 1 if self.collection in names else len(names)
        if following < len(names):
            self.collection = names[following]
            return
        self.last_off, self.last_compared, self.last_finished_at = self.off, self.compared, now()
        self.last_off_of, self.off_of = dict(self.off_of), {}
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


class DriftRound(NamedTuple):
    """A round's incorrect counters.

    Attributes:
        ended_at: None if the round continues.
        by_organization: number of incorrect counters of each organization that has any.
    """

    ended_at: datetime | None
    by_organization: dict[ObjectId, int]


def list_drift_rounds() -> list[DriftRound]:
    """Return the last full round and the current one."""
    found = SteadyRecount.current()
    last = DriftRound(found.last_finished_at, _read_owners(found.last_off_of))
    current = DriftRound(None, _read_owners(found.off_of))
    return [current] if last.ended_at is None else [last, current]


def _read_owners(counts: dict[str, int]) -> dict[ObjectId, int]:
    return {ObjectId(id_): number for id_, number in counts.items()}
