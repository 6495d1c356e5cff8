"""Threads of each worker for periodic work, such as recounts and digests."""

import logging
import threading
from collections.abc import Callable

from config.transient_errors import is_transient
from documents.concurrency.retries import describe_error

log = logging.getLogger(__name__)

STEP_PAUSE_SECONDS = 1.0  # between steps, so that they do not slow down settling
STEP_IDLE_SECONDS = 10.0


class PeriodicThread(threading.Thread):
    """A thread that repeats a step and pauses in between.

    A step returns whether it did any work.
    """

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
                    log.warning("%s: postponed (%s)", self.name, describe_error(error))
                else:
                    log.exception("%s: failed; retrying later", self.name)

    def stop(self, timeout: float) -> None:
        """Stop after the current step."""
        self._stopping.set()
        self.join(timeout)
