"""Wake-ups: messages from a save to the queue, which a thread of each web process sends.

A request only adds an ID to a buffer in memory. If Redis is slow or unavailable, the thread waits,
but requests do not. A full buffer drops wake-ups. The sweep then finds the records by their due
marks.

Under load, the thread sends the wake-ups of 10 milliseconds as one message. For the web process and
the worker, a message costs more than settling its records. The worker settles all due records
together anyway.
"""

import contextlib
import logging
import queue
import time
from itertools import chain
from typing import Any

from config.background import BackgroundThread
from config.observability import context
from config.observability.context import Origin
from config.observability.metrics import ENQUEUE_FAILURES
from config.observability.outage import Outage
from config.queue import QUEUE_ERRORS

log = logging.getLogger(__name__)

WAKEUP_CAPACITY = 10_000
ENQUEUE_RETRY_SECONDS = 1.0
MESSAGE_INTERVAL_SECONDS = 0.01  # between messages; the first message after a pause goes at once
IDS_PER_MESSAGE = 500


class WakeUpBuffer:
    """Wake-ups that wait for the queue."""

    def __init__(self, capacity: int = WAKEUP_CAPACITY) -> None:
        self._waiting: queue.Queue[tuple[Any, str, Origin]] = queue.Queue(capacity)
        self._sender = BackgroundThread("outbox", self._send)
        self._outage = Outage(log.warning, log.info)
        self._last = 0.0

    def put(self, task: Any, id_: str) -> None:
        """Schedule task(id_) soon, possibly with other IDs.

        Take microseconds, even without Redis.
        """
        self._sender.ensure_started()
        try:
            self._waiting.put_nowait((task, id_, context.get_origin()))
        except queue.Full:  # the sweep finds the record
            ENQUEUE_FAILURES.labels("outbox_full").inc()

    def flush(self, seconds: float) -> bool:
        """Wait until all wake-ups are sent, or until the time is over.

        Return whether all are sent.
        """
        deadline = time.monotonic() + seconds
        while self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self._waiting.unfinished_tasks

    def _send(self) -> None:
        while True:
            gathered = self._gather()
            try:
                for task, wakeups in gathered.items():
                    with context.carry_origin(Origin.combine(origin for _, origin in wakeups)):
                        task(*dict.fromkeys(id_ for id_, _ in wakeups))
                self._outage.end("the queue is available again")
            except QUEUE_ERRORS:
                self._outage.begin("the queue is unavailable; the sweep settles due records")
                lost = self._drop_waiting() + sum(map(len, gathered.values()))
                ENQUEUE_FAILURES.labels("queue_away").inc(lost)
                time.sleep(ENQUEUE_RETRY_SECONDS)
            except Exception:
                # the sweep finds the records
                log.exception("outbox: %s could not be enqueued", gathered)
                ENQUEUE_FAILURES.labels("error").inc(sum(map(len, gathered.values())))
            finally:
                for _ in chain.from_iterable(gathered.values()):
                    self._waiting.task_done()

    def _gather(self) -> dict[Any, list[tuple[str, Origin]]]:
        """Wait for wake-ups and for the interval between messages. Return the wake-ups by task."""
        task, id_, origin = self._waiting.get()
        gathered: dict[Any, list[tuple[str, Origin]]] = {task: [(id_, origin)]}
        time.sleep(max(0.0, self._last + MESSAGE_INTERVAL_SECONDS - time.monotonic()))
        with contextlib.suppress(queue.Empty):
            for _ in range(IDS_PER_MESSAGE - 1):
                task, id_, origin = self._waiting.get_nowait()
                gathered.setdefault(task, []).append((id_, origin))
        self._last = time.monotonic()
        return gathered

    def _drop_waiting(self) -> int:
        """Drop the waiting wake-ups, because the sweep finds their records. Return their number."""
        dropped = 0
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
                self._waiting.task_done()
                dropped += 1
        return dropped


wakeup_buffer = WakeUpBuffer()
