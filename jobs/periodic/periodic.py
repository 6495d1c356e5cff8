"""Threads of each worker for periodic work: recount, relabelling, retention, audit."""

import logging
import threading
from collections.abc import Callable

from config.transient_errors import is_transient
from documents.concurrency.retries import describe_error

log = logging.getLogger(__name__)

STEP_PAUSE_SECONDS = 1.0  # between steps: they must not be felt
STEP_IDLE_SECONDS = 10.0


class PeriodicThread(threading.Thread):
    """Takes a step, pauses, and so on. A step returns whether there was something to do."""

    def __init__(
        self, name: str, step: Callable[[], bool], idle: float = STEP_IDLE_SECONDS
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._step = step
        self._idle = idle
        self._stopping = threading.Event()

    def run(self) -> None:
        pause = STEP_PAUSE_SECONDS
        while not self._stopping.wait(pause):
            try:
                pause = STEP_PAUSE_SECONDS if self._step() else self._idle
            except Exception as error:
                pause = STEP_IDLE_SECONDS
                if is_transient(error):
                    log.warning("%s: not now (%s)", self.name, describe_error(error))
                else:
                    log.exception("%s: failed; it is attempted again", self.name)

    def stop(self, timeout: float) -> None:
        """Let it finish its step."""
        self._stopping.set()
        self.join(timeout)
