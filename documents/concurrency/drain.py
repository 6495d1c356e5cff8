"""The drain loop: it takes what is due of one group, batch after batch, until nothing is left.

Settling, ingest and payments share it. Each gives the work of one transaction, which asks the drain
for the next due records. The drain halves batches (`batches.py`), postpones records, takes turns,
and stops between two transactions when the process is to end.
"""

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any

from bson import ObjectId

from documents.concurrency import mutex, retries
from documents.concurrency.batches import Batches, Group
from documents.storage import shutdown
from documents.storage.marks import DUE
from documents.storage.transaction import in_transaction
from documents.values.time import now
from matchback.engine import Tx

Handle = Callable[[str, ObjectId, Exception], None]  # handles one record of a collection


class Drain:
    """One run over the due records of a group.

    Args:
        group: what the process remembers between runs, e.g. ("fundraiser", fundraiser_id).
        most: the number of records in a full batch.
        seconds: how long this run may isolate bad records; None leaves them to the sweep.
        turns: names of the turns that the next transaction takes, in this order. The run asks for
            the last one and waits for it.
        note: handles a record that cannot be settled.
        postpone: handles a record that takes too long even alone. That is no attempt.
    """

    def __init__(
        self,
        group: Group,
        most: int,
        seconds: float | None = None,
        *,
        turns: Callable[[], Sequence[str]] = tuple,
        note: Handle = retries.note,
        postpone: Handle = retries.postpone,
    ) -> None:
        self._batches = Batches(group, most, seconds, note=note, postpone=postpone)
        self._turns = turns
        self._since: dict[str, datetime] = {}

    @property
    def limit(self) -> int:
        """Return how many records the batch in hand may take in all."""
        return self._batches.limit

    @property
    def left(self) -> int:
        """Return how many more records the batch in hand may take."""
        return self.limit - len(self._batches.taken)

    def run(self, work: Callable[..., int], *args: Any) -> int:
        """Do work(tx, *args) in one transaction after another, until it takes nothing.

        Returns the number of records that the work took, as the work counts them. It also ends when
        the rest is left to the sweep, or when others have the turn for too long.

        Raises:
            PyMongoError: the database is unavailable, or was slow for too long.
        """

        def batch() -> int:
            turns = self._turns()

            @wraps(work)
            def attempt(tx: Tx) -> int:
                self._batches.taken = []  # a transaction can start again
                for name in turns:
                    mutex.take(tx, name)
                return work(tx, *args)

            if not turns:
                return in_transaction(attempt)
            attempt.__name__ = f"{work.__name__}_in_turn"  # a metric counts its retries by name
            return mutex.in_turn(turns[-1], lambda: in_transaction(attempt))

        return until_done(lambda: self._batches.take(batch))

    def waiting(self, source: str) -> dict[str, Any]:
        """Return the query for the due records of a collection that are not postponed.

        A run that looks for bad records skips those that are older than its last batch. They wait
        for their next attempt, and each batch would read thousands of them again.
        """
        query: dict[str, Any] = {**DUE, **retries.not_postponed(now())}
        if self._batches.is_isolating and source in self._since:
            query["due"] = {**DUE["due"], "$gte": self._since[source]}
        return query

    def read(self, tx: Tx, source: str, where: Mapping[str, Any]) -> list[Any]:
        """Read the next due records, as many as the batch can still take, and take them."""
        if not self.left:
            return []
        query = {**where, **self.waiting(source)}
        found = tx.database[source].find(
            query, sort=[("due", 1)], limit=self.left, session=tx.session
        )
        rows = list(found)
        self.take(source, [row["_id"] for row in rows], rows[0]["due"] if rows else None)
        return rows

    def take(self, source: str, ids: Collection[Any], since: datetime | None) -> None:
        """Note the records that the transaction took.

        Args:
            ids: one ID for each place in the batch. A record can take several.
            since: the oldest due mark of these records.
        """
        self._batches.taken += [(source, id_) for id_ in ids]
        if since is not None:
            self._since[source] = since


def until_done(batch: Callable[[], int]) -> int:
    """Do batch after batch until one takes nothing. Returns the sum of what they took.

    If another worker has the turn all the time, this gives up, because that worker or the sweep
    does the rest.
    """
    done = 0
    deadline = time.monotonic() + mutex.PATIENCE_SECONDS
    while time.monotonic() < deadline and not shutdown.has_begun():
        try:
            taken = batch()
        except mutex.NotMyTurn:
            time.sleep(random.uniform(0, 2 * mutex.LONG_PAUSE_SECONDS))  # noqa: S311
            continue
        if not taken:
            break
        done += taken
        deadline = time.monotonic() + mutex.PATIENCE_SECONDS
    return done
