"""From a save to Redis without anybody waiting: a thread of each web process enqueues.

A request only puts the id into a queue in memory. Should Redis hang, be slow or away, the thread
waits and no request does; what does not fit any more is dropped, and the sweep finds it by its
due mark.

Under load, what comes within a hundredth of a second goes as one message of many ids. A message
costs the web process and the worker more than it costs to settle what it tells of, and the worker
settles together whatever is due anyway.
"""

import contextlib
import logging
import queue
import time
from itertools import chain
from typing import Any

from redis.exceptions import RedisError

from config.background import Background

log = logging.getLogger(__name__)

CAPACITY = 10_000
PAUSE_SECONDS = 1.0
GATHER_SECONDS = 0.01  # from one message to the next; the first after silence goes at once
IDS_A_MESSAGE = 500


class Outbox:
    """Wake-ups on their way to the queue."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._waiting: queue.Queue[tuple[Any, str]] = queue.Queue(capacity)
        self._sender = Background("outbox", self._send)
        self._away = False
        self._last = 0.0

    def put(self, task: Any, id_: str) -> None:
        """Schedule task(id_) soon, maybe as task(*ids). Takes microseconds whatever Redis does."""
        self._sender.ensure()
        with contextlib.suppress(queue.Full):  # the sweep finds it
            self._waiting.put_nowait((task, id_))

    def flush(self, seconds: float) -> bool:
        """Wait until everything was sent, at most so long. For an orderly end."""
        deadline = time.monotonic() + seconds
        while self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self._waiting.unfinished_tasks

    def _send(self) -> None:
        while True:
            gathered = self._gather()
            try:
                for task, ids in gathered.items():
                    task(*dict.fromkeys(ids))
                self._note(away=False)
            except (RedisError, OSError):
                self._note(away=True)
                self._drop_waiting()
                time.sleep(PAUSE_SECONDS)
            except Exception:
                log.exception("outbox: %s could not be enqueued", gathered)  # the sweep finds it
            finally:
                for _ in chain.from_iterable(gathered.values()):
                    self._waiting.task_done()

    def _gather(self) -> dict[Any, list[str]]:
        """What waits, by task, once there is something and the last message is a while ago."""
        task, id_ = self._waiting.get()
        gathered: dict[Any, list[str]] = {task: [id_]}
        time.sleep(max(0.0, self._last + GATHER_SECONDS - time.monotonic()))
        with contextlib.suppress(queue.Empty):
            for _ in range(IDS_A_MESSAGE - 1):
                task, id_ = self._waiting.get_nowait()
                gathered.setdefault(task, []).append(id_)
        self._last = time.monotonic()
        return gathered

    def _note(self, *, away: bool) -> None:
        if away != self._away:
            self._away = away
            log.log(
                logging.WARNING if away else logging.INFO,
                "Redis is away: the sweep settles what is due" if away else "Redis is back",
            )

    def _drop_waiting(self) -> None:
        """What waited so long is the sweep's by now."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
                self._waiting.task_done()


outbox = Outbox()
