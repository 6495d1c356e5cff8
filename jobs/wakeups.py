"""Wake-ups: messages from a save to the queue, which a thread of each web process sends.

A request only adds an ID to a buffer in memory. If Redis is slow or unavailable, the thread waits,
but requests do not. A full buffer drops wake-ups. The sweep then finds the records by their due
marks.

Under load, the thread sends the wake-ups of 25 milliseconds as one message. For the web process and
the worker, a message costs more than settling its records. The worker settles all due records
together anyway.
"""

import contextlib
import logging
import queue
import threading
import time
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
MESSAGE_INTERVAL_SECONDS = 0.025  # between messages; the first message after a pause goes at once
IDS_PER_MESSAGE = 500


class WakeUpBuffer:
    """Wake-ups that wait for the queue."""

    def __init__(self, capacity: int = WAKEUP_CAPACITY) -> None:
        # Not `queue.Queue`, which needs ten times as long for each wake-up.
        self._waiting: queue.SimpleQueue[tuple[Any, str, Origin]] = queue.SimpleQueue()
        self._capacity = capacity
        self._guard = threading.Lock()
        self._accepted = 0
        self._finished = 0  # accepted wake-ups that were sent or dropped
        self._sender = BackgroundThread("outbox", self._send)
        self._outage = Outage(log.warning, log.info)
        self._last = 0.0

    def put(self, task: Any, id_: str) -> None:
        """Schedule task(id_) soon, possibly with other IDs.

        Take microseconds, even without Redis.
        """
        self._sender.ensure_started()
        with self._guard:
            if is_accepted := self._waiting.qsize() < self._capacity:
                self._accepted += 1
                self._waiting.put((task, id_, context.get_origin()))
        if not is_accepted:  # the sweep finds the record
            ENQUEUE_FAILURES.labels("outbox_full").inc()

    def flush(self, seconds: float) -> bool:
        """Wait until all wake-ups are sent, or until the time is over.

        Return whether all are sent.
        """
        deadline = time.monotonic() + seconds
        while self._finished < self._accepted and time.monotonic() < deadline:
            time.sleep(0.005)
        return self._finished == self._accepted

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
                self._finished += sum(map(len, gathered.values()))

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
                self._finished += 1
                dropped += 1
        return dropped


wakeup_buffer = WakeUpBuffer()
