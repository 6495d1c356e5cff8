"""Threads of each worker for periodic work: recount, relabelling, retention, audit."""

import logging
import threading
from collections.abc import Callable

from config.transient_errors import is_passing
from documents.concurrency.retries import describe

log = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0  # between steps: they must not be felt
IDLE_SECONDS = 10.0


class Periodic(threading.Thread):
    """Takes a step, pauses, and so on. A step returns whether there was something to do."""

    def __init__(self, name: str, step: Callable[[], bool], idle: float = IDLE_SECONDS) -> None:
        super().__init__(name=name, daemon=True)
        self._step = step
        self._idle = idle
        self._stopping = threading.Event()

    def run(self) -> None:
        pause = PAUSE_SECONDS
        while not self._stopping.wait(pause):
            try:
                pause = PAUSE_SECONDS if self._step() else self._idle
            except Exception as error:
                pause = IDLE_SECONDS
                if is_passing(error):
                    log.warning("%s: not now (%s)", self.name, describe(error))
                else:
                    log.exception("%s: failed; it is attempted again", self.name)

    def stop(self, timeout: float) -> None:
        """Let it finish its step."""
        self._stopping.set()
        self.join(timeout)
