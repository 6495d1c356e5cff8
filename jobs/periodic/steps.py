"""What each worker does from time to time: all of it, on this screen."""

from collections.abc import Callable

from jobs.periodic import audit, recount, relabel, retention
from jobs.periodic.periodic import STEP_IDLE_SECONDS, PeriodicThread

AUDIT_IDLE_SECONDS = 1.0

# A step returns whether it found something to do, and rests for so many seconds if it did not.
PERIODIC_STEPS: dict[str, tuple[Callable[[], bool], float]] = {
    "recount": (recount.step, STEP_IDLE_SECONDS),
    "relabel": (relabel.step, STEP_IDLE_SECONDS),
    "retention": (retention.step, STEP_IDLE_SECONDS),
    "audit": (audit.step, AUDIT_IDLE_SECONDS),
}


def make_threads() -> list[PeriodicThread]:
    """Return a thread for each, not started yet."""
    return [PeriodicThread(name, step, idle) for name, (step, idle) in PERIODIC_STEPS.items()]
