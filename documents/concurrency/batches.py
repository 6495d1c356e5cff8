"""Batches: transactions that each take some of the due records.

If MongoDB ends a batch because it was slow or busy, a smaller batch runs next. If a batch contains
a bad record, the size halves until the record is alone. The batch then notes the failed attempt.
One bad record among 250 costs about twenty transactions.

If a record is too slow even alone, the batch postpones it, so that its group does not wait. This
does not count as an attempt.

Only the sweep isolates bad records, and only for a limited time in each group. Jobs skip such a
group, so bad records never block the queue.
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

from config.transient_errors import is_too_large, is_transient
from documents.concurrency import retries
from documents.concurrency.batch_size import LONG_BATCH_SECONDS, BatchSize
from documents.concurrency.mutex import TurnTaken
from documents.storage import shutdown

log = logging.getLogger(__name__)

# How long a slow database may take, from the start of the first failed batch.
SLOW_DATABASE_PATIENCE_SECONDS = 5.0
GROUP_ISOLATION_SECONDS = 0.5  # for one group, before the sweep continues with the next
FIRST_BATCH_PAUSE_SECONDS = 0.02
MAX_BATCH_PAUSE_SECONDS = 0.5
LEFT_TO_SWEEP_SECONDS = 5.0
HALVINGS_AFTER_PATIENCE = 3  # so that the next sweep does not wait as long again
MAX_REMEMBERED_GROUPS = 10_000

BatchGroup = tuple[str, Hashable]


@dataclass
class _Known:
    """The results of earlier batches of a group. They affect only speed.

    Attributes:
        bad_at: the monotonic time at which a bad record made a batch fail; None if none is left.
    """

    size: BatchSize
    bad_at: float | None = None

    def is_left_to_sweep(self) -> bool:
        """Return whether jobs skip this group.

        They skip it only for a time, because another process may run its sweep.
        """
        return self.bad_at is not None and time.monotonic() - self.bad_at < LEFT_TO_SWEEP_SECONDS


_known: dict[BatchGroup, _Known] = {}
_guard = threading.Lock()


def _recall(group: BatchGroup, most: int) -> _Known:
    with _guard:
        if len(_known) > MAX_REMEMBERED_GROUPS:
            _known.clear()
        known = _known.setdefault(group, _Known(BatchSize(most)))
        if known.size.most != most:
            known.size = BatchSize(most)
        return known


def _forget(group: BatchGroup) -> None:
    with _guard:
        _known.pop(group, None)


@dataclass
class Batches:
    """One run over the due records of a group. Each batch takes at most `limit` records.

    Attributes:
        group: the key of the state that the process keeps between runs, such as
            ("settle", fundraiser_id).
        most: the size of a full batch.
        seconds: how long this run may isolate bad records; None leaves them to the sweep.
        note: handles a bad record.
        postpone: handles a record that takes too long even alone.
        taken: the records of the current batch. The transaction sets them after it reads them.
    """

    group: BatchGroup
    most: int
    seconds: float | None = None
    note: Callable[[str, ObjectId, Exception], None] = retries.note_failed_attempt
    postpone: Callable[[str, ObjectId, Exception], None] = retries.postpone_record
    taken: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._state = _recall(self.group, self.most)
        self._isolating_since: float | None = None
        self._failing_since: float | None = None
        self._pause = FIRST_BATCH_PAUSE_SECONDS

    @property
    def limit(self) -> int:
        """Maximum number of records in the next batch."""
        return self._state.size.now

    @property
    def is_isolating(self) -> bool:
        """True if this run isolates bad records."""
        return self._isolating_since is not None

    def take(self, do: Callable[[], int]) -> int:
        """Run one batch, and return how many records it took. Retry smaller batches after errors.

        Return 0 also if this run leaves the rest to the sweep, or if the process is stopping.

        Raises:
            PyMongoError: the database is unavailable, or was slow for too long.
            TurnTaken: another transaction has the turn.
        """
        if self.seconds is None and self._state.is_left_to_sweep():
            return 0
        while True:
            self.taken = []
            started = time.monotonic()
            try:
                done = do()
            except TurnTaken:
                raise
            except Exception as error:  # noqa: BLE001  (bad records raise any exception)
                if not self._goes_on(error, started):
                    return 0
            else:
                self._succeeded(started, done)
                return done

    def _succeeded(self, started: float, done: int) -> None:
        self._failing_since = None
        self._pause = FIRST_BATCH_PAUSE_SECONDS
        self._state.size.succeeded(time.monotonic() - started)
        if not done or self._state.size.is_full:
            self._state.bad_at = None
            self._isolating_since = None
        if not done:
            _forget(self.group)

    def _goes_on(self, error: Exception, started: float) -> bool:
        """Prepare the next attempt after an error, and return whether to start it now."""
        is_alone = len(self.taken) == 1 or self.limit == 1
        if is_transient(error) and not (is_too_large(error) and is_alone):
            return self._wait(error, started)
        if not self.taken:
            raise error  # the batch read no record, so it is a bug
        if self._state.bad_at is None:
            log.warning(
                "%s %s: isolating the failing record after %s",
                *self.group,
                retries.describe_error(error),
            )
        self._state.bad_at = time.monotonic()
        if self.seconds is None:
            return False
        if len(self.taken) == 1:
            self.note(*self.taken[0], error)
        else:
            self._state.size.shrink(len(self.taken))
        return self._has_time()

    def _wait(self, error: Exception, started: float) -> bool:
        """Pause before a smaller batch. Leave an unavailable database to the next sweep."""
        self._state.size.shrink()
        at = time.monotonic()
        self._failing_since = self._failing_since or started
        is_over = at - self._failing_since > SLOW_DATABASE_PATIENCE_SECONDS
        if isinstance(error, ConnectionFailure) or shutdown.has_begun():
            raise error
        if is_over:
            return self._give_up(error, at - started)
        log.info(
            "%s %s: retrying with a smaller batch after %s",
            *self.group,
            retries.describe_error(error),
        )
        time.sleep(random.uniform(0.5, 1) * self._pause)  # noqa: S311
        self._pause = min(2 * self._pause, MAX_BATCH_PAUSE_SECONDS)
        return True

    def _give_up(self, error: Exception, seconds: float) -> bool:
        """Postpone a record that took too long alone. Otherwise, leave all to the next sweep.

        MongoDB may also report at once that it is busy. Then the record did not cause the delay.
        """
        if len(self.taken) != 1 or seconds < LONG_BATCH_SECONDS:
            for _ in range(HALVINGS_AFTER_PATIENCE):
                self._state.size.shrink()
            raise error
        self.postpone(*self.taken[0], error)
        return False

    def _has_time(self) -> bool:
        """Return whether this run may continue to isolate: always until it isolates one record."""
        at = time.monotonic()
        if self._isolating_since is None:
            self._isolating_since = at
        assert self.seconds is not None
        is_over = at - self._isolating_since > self.seconds and len(self.taken) == 1
        return not is_over and not shutdown.has_begun()
