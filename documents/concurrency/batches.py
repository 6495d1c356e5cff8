"""Batches: transactions that each take some of the due records.

If MongoDB ends a batch because it was slow or busy, the batch runs again, smaller, in turn with the
others. If a batch holds a bad record, halving continues until the record is alone and gets a note.
Both are one search, so one bad record among 250 costs about twenty transactions.

A record that is too slow even alone is postponed, so that its group does not wait for it. That does
not count as an attempt.

Only the sweep isolates bad records, for a slice of time in each group. Jobs leave such a group to
the sweep, so bad records never hold up the queue.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId
from pymongo.errors import ConnectionFailure

from config.transient_errors import is_passing, is_too_large
from documents.concurrency import retries
from documents.concurrency.batch_size import LONG_SECONDS, BatchSize
from documents.concurrency.mutex import NotMyTurn
from documents.storage import shutdown

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 5.0  # with a slow database, since the start of the first batch that failed
ISOLATION_SECONDS = 0.5  # for one group, before the next group has its turn
FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.5
LEFT_SECONDS = 5.0
SHRINKS_AFTER_PATIENCE = 3  # halvings: the next sweep must not spend its patience again
MOST_GROUPS = 10_000

Group = tuple[str, Hashable]


@dataclass
class _Known:
    """What earlier batches of a group showed: nothing rests on it but speed.

    Attributes:
        bad_at: the time (monotonic) at which a batch failed by a bad record, until none is left.
    """

    size: BatchSize
    bad_at: float | None = None

    def is_left_to_sweep(self) -> bool:
        """Whether jobs pass this group by. Not forever: its sweep may run in another process."""
        return self.bad_at is not None and time.monotonic() - self.bad_at < LEFT_SECONDS


_known: dict[Group, _Known] = {}
_guard = threading.Lock()


def _recall(group: Group, most: int) -> _Known:
    with _guard:
        if len(_known) > MOST_GROUPS:
            _known.clear()
        known = _known.setdefault(group, _Known(BatchSize(most)))
        if known.size.most != most:
            known.size = BatchSize(most)
        return known


def _forget(group: Group) -> None:
    with _guard:
        _known.pop(group, None)


@dataclass
class Batches:
    """One run over what is due of a group. Each batch takes at most `limit` records.

    Attributes:
        group: what is remembered between runs, e.g. ("settle", fundraiser_id).
        most: the size of a full batch.
        seconds: how long this run may isolate bad records; None leaves them to the sweep.
        note: what becomes of a bad record.
        postpone: what becomes of a record that takes too long even alone.
        taken: the records of the batch in hand, set by the transaction when it has read them.
    """

    group: Group
    most: int
    seconds: float | None = None
    note: Callable[[str, ObjectId, Exception], None] = retries.note
    postpone: Callable[[str, ObjectId, Exception], None] = retries.postpone
    taken: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._state = _recall(self.group, self.most)
        self._isolating_since: float | None = None
        self._failing_since: float | None = None
        self._pause = FIRST_PAUSE_SECONDS

    @property
    def limit(self) -> int:
        """How many records the next batch may take."""
        return self._state.size.now

    @property
    def is_isolating(self) -> bool:
        """Whether this run looks for bad records."""
        return self._isolating_since is not None

    def take(self, do: Callable[[], int]) -> int:
        """Do one batch, smaller and again until it is committed. Returns how many records it took.

        Returns 0 as well when the rest is left to the sweep, or when this process is stopping.

        Raises:
            PyMongoError: the database is unavailable, or was slow for too long.
            NotMyTurn: another transaction has the turn.
        """
        if self.seconds is None and self._state.is_left_to_sweep():
            return 0
        while True:
            self.taken = []
            started = time.monotonic()
            try:
                done = do()
            except NotMyTurn:
                raise
            except Exception as error:  # noqa: BLE001  (bad records raise anything)
                if not self._goes_on(error, started):
                    return 0
            else:
                self._succeeded(started, done)
                return done

    def _succeeded(self, started: float, done: int) -> None:
        self._failing_since = None
        self._pause = FIRST_PAUSE_SECONDS
        self._state.size.succeeded(time.monotonic() - started)
        if not done or self._state.size.is_full:
            self._state.bad_at = None
            self._isolating_since = None
        if not done:
            _forget(self.group)

    def _goes_on(self, error: Exception, started: float) -> bool:
        """Prepare the next attempt after an error. Returns whether there is to be one now."""
        is_alone = len(self.taken) == 1 or self.limit == 1
        if is_passing(error) and not (is_too_large(error) and is_alone):
            return self._wait(error, started)
        if not self.taken:
            raise error  # no record was read: the fault is in the program
        if self._state.bad_at is None:
            log.warning("%s %s: looking for what fails, %s", *self.group, retries.describe(error))
        self._state.bad_at = time.monotonic()
        if self.seconds is None:
            return False
        if len(self.taken) == 1:
            self.note(*self.taken[0], error)
        else:
            self._state.size.shrink(len(self.taken))
        return self._has_time()

    def _wait(self, error: Exception, started: float) -> bool:
        """Pause before a smaller batch; an unavailable database is left to the next sweep."""
        self._state.size.shrink()
        at = time.monotonic()
        self._failing_since = self._failing_since or started
        is_over = at - self._failing_since > PATIENCE_SECONDS
        if isinstance(error, ConnectionFailure) or shutdown.has_begun():
            raise error
        if is_over:
            return self._give_up(error, at - started)
        log.info("%s %s: again, smaller, after %s", *self.group, retries.describe(error))
        time.sleep(random.uniform(0.5, 1) * self._pause)  # noqa: S311
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        return True

    def _give_up(self, error: Exception, seconds: float) -> bool:
        """Postpone a record whose transaction alone took so long; or leave all to the next sweep.

        MongoDB may also answer at once that it is busy. Then no record is to blame.
        """
        if len(self.taken) != 1 or seconds < LONG_SECONDS:
            for _ in range(SHRINKS_AFTER_PATIENCE):
                self._state.size.shrink()
            raise error
        self.postpone(*self.taken[0], error)
        return False

    def _has_time(self) -> bool:
        """Whether this run may isolate on: always until it has done something."""
        at = time.monotonic()
        if self._isolating_since is None:
            self._isolating_since = at
        assert self.seconds is not None
        is_over = at - self._isolating_since > self.seconds and len(self.taken) == 1
        return not is_over and not shutdown.has_begun()
