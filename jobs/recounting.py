"""The thread of each worker that recounts by and by; a lease lets one of them do it."""

import logging
import threading
from datetime import timedelta

from pymongo.errors import PyMongoError

from config.settings import settings
from documents.clock import now
from documents.lease import Lease
from documents.steady_recount import SteadyRecount

log = logging.getLogger(__name__)

LEASE = "steady recount"
LEASE_TIME = timedelta(seconds=60)
PAUSE_SECONDS = 1.0  # between pages: it must not be felt
IDLE_SECONDS = 10.0


class Recounter(threading.Thread):
    """Compares a page, pauses, and so on; a new round every so many hours."""

    def __init__(self) -> None:
        super().__init__(name="recount", daemon=True)
        self._stopping = threading.Event()

    def run(self) -> None:
        pause = PAUSE_SECONDS
        while not self._stopping.wait(pause):
            try:
                pause = PAUSE_SECONDS if step() else IDLE_SECONDS
            except PyMongoError as error:
                log.warning("recount: not now (%s)", type(error).__name__)
                pause = IDLE_SECONDS
            except Exception:
                log.exception("recount: failed; it is tried again")
                pause = IDLE_SECONDS

    def stop(self, timeout: float) -> None:
        """Let it finish its page."""
        self._stopping.set()
        self.join(timeout)


def step() -> bool:
    """Compare the next page, if that is ours to do now. Returns whether there was one."""
    if not Lease.take(LEASE, LEASE_TIME):
        return False
    state = SteadyRecount.current()
    interval = timedelta(hours=settings().recount_hours)
    ended = state.last_finished_at
    if state.is_at_the_start and ended is not None and now() - ended < interval:
        return False
    for drift in state.step():
        log.error("counter off: %s %s %s", drift.collection, drift.id, drift.field)
    return True
