"""The drain loop, which takes the due records of one group, batch after batch.

Settling, ingest and payments share it. Each passes the work of one transaction, which asks the
drain for the next due records. The drain halves batches (`batches.py`), postpones records and takes
turns. When the process shuts down, the drain stops between two transactions.
"""

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any

from bson import ObjectId

from documents.concurrency import mutex, retries
from documents.concurrency.batches import Batches, BatchGroup
from documents.organization import is_in_deletion
from documents.storage import shutdown
from documents.storage.marks import DUE_FILTER
from documents.storage.transaction import in_transaction
from documents.values.time import now
from matchback.engine import Tx

Handle = Callable[[str, ObjectId, Exception], None]  # handles one record of a collection


class Drain:
    """One run over the due records of a group.

    Args:
        group: the key of the state that the process keeps between runs, such as
            ("fundraiser", fundraiser_id).
        most: the number of records in a full batch.
        seconds: how long this run may isolate bad records; None leaves them to the sweep.
        owner: the organization of the group. A run takes nothing of one in deletion.
        turns: returns the names of the turns that the next transaction takes, in this order. The
            run requests the last one and waits for it.
        note: handles a record that cannot be settled.
        postpone: handles a record that takes too long even alone. This is not an attempt.
    """

    def __init__(
        self,
        group: BatchGroup,
        most: int,
        seconds: float | None = None,
        *,
        owner: ObjectId | None = None,
        turns: Callable[[], Sequence[str]] = tuple,
        note: Handle = retries.note_failed_attempt,
        postpone: Handle = retries.postpone_record,
    ) -> None:
        self._batches = Batches(group, most, seconds, note=note, postpone=postpone)
        self._owner = owner
        self._turns = turns
        self._since: dict[str, datetime] = {}

    @property
    def limit(self) -> int:
        """Total number of records that the current batch may take."""
        return self._batches.limit

    @property
    def left(self) -> int:
        """Number of records that the current batch may still take."""
        return self.limit - len(self._batches.taken)

    def run(self, work: Callable[..., int], *args: Any) -> int:
        """Run work(tx, *args) in one transaction after another, until it takes no records.

        Return the sum of what `work` returned. The run also ends when it leaves the rest to the
        sweep, or when others have the turn for too long.

        Raises:
            PyMongoError: the database is unavailable, or was slow for too long.
        """

        def batch() -> int:
            turns = self._turns()

            @wraps(work)
            def attempt(tx: Tx) -> int:
                self._batches.taken = []  # the transaction may have started again
                if self._owner is not None and is_in_deletion(self._owner):
                    return 0  # in each attempt, because a process can pause before one
                for name in turns:
                    mutex.take_turn(tx, name)
                return work(tx, *args)

            if not turns:
                return in_transaction(attempt)
            attempt.__name__ = f"{work.__name__}_in_turn"  # a metric counts its retries by name
            return mutex.run_in_turn(turns[-1], lambda: in_transaction(attempt))

        return until_done(lambda: self._batches.take(batch))

    def waiting(self, source: str) -> dict[str, Any]:
        """Return the query for the due records of a collection that are not postponed.

        A run that isolates bad records skips records that are older than its last batch, because
        they wait for their next attempt. Otherwise, each batch would read thousands of them again.
        """
        query: dict[str, Any] = {**DUE_FILTER, **retries.exclude_postponed(now())}
        if self._batches.is_isolating and source in self._since:
            query["due"] = {**DUE_FILTER["due"], "$gte": self._since[source]}
        return query

    def read(self, tx: Tx, source: str, where: Mapping[str, Any]) -> list[Any]:
        """Read and take the next due records, as many as the batch can still take."""
        if not self.left:
            return []
        query = {**where, **self.waiting(source)}
        found = tx.database[source].find(
            query,
            sort=[("due", 1)],
            limit=self.left,
            batch_size=self.left,
            session=tx.session,
        )
        rows = list(found)
        self.take(source, [row["_id"] for row in rows], rows[0]["due"] if rows else None)
        return rows

    def take(self, source: str, ids: Collection[Any], since: datetime | None) -> None:
        """Note the records that the transaction took.

        Args:
            ids: one ID for each place in the batch. A record can take several places.
            since: the oldest due mark of these records.
        """
        self._batches.taken += [(source, id_) for id_ in ids]
        if since is not None:
            self._since[source] = since


def until_done(batch: Callable[[], int]) -> int:
    """Run batches until one takes no records. Return how many records all batches took.

    Give up if another worker keeps the turn. That worker or the sweep settles the rest.
    """
    done = 0
    deadline = time.monotonic() + mutex.TURN_PATIENCE_SECONDS
    while time.monotonic() < deadline and not shutdown.has_begun():
        try:
            taken = batch()
        except mutex.TurnTaken:
            time.sleep(random.uniform(0, 2 * mutex.LONG_TURN_PAUSE_SECONDS))  # noqa: S311
            continue
        if not taken:
            break
        done += taken
        deadline = time.monotonic() + mutex.TURN_PATIENCE_SECONDS
    return done
