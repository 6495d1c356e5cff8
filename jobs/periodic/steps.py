"""What each worker does from time to time: all of it, on this screen."""

from collections.abc import Callable

from jobs.periodic import audit, recount, relabel, retention
from jobs.periodic.periodic import IDLE_SECONDS, Periodic

AUDIT_IDLE_SECONDS = 1.0

# A step returns whether it found something to do, and rests for so many seconds if it did not.
STEPS: dict[str, tuple[Callable[[], bool], float]] = {
    "recount": (recount.step, IDLE_SECONDS),
    "relabel": (relabel.step, IDLE_SECONDS),
    "retention": (retention.step, IDLE_SECONDS),
    "audit": (audit.step, AUDIT_IDLE_SECONDS),
}


def make_threads() -> list[Periodic]:
    """Return a thread for each, not started yet."""
    return [Periodic(name, step, idle) for name, (step, idle) in STEPS.items()]
