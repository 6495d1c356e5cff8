"""All periodic work of a worker, in one table."""

from collections.abc import Callable

from jobs.periodic import (
    audit,
    deletion,
    digests,
    imports,
    journal,
    notices,
    recount,
    relabel,
    resend,
    retention,
    sensitivity,
)
from jobs.periodic.periodic import STEP_IDLE_SECONDS, PeriodicThread

AUDIT_IDLE_SECONDS = 1.0
IMPORTS_IDLE_SECONDS = 1.0
RESEND_IDLE_SECONDS = 1.0

# Each step returns whether it did any work. If not, it pauses for this number of seconds.
PERIODIC_STEPS: dict[str, tuple[Callable[[], bool], float]] = {
    "recount": (recount.step, STEP_IDLE_SECONDS),
    "relabel": (relabel.step, STEP_IDLE_SECONDS),
    "retention": (retention.step, STEP_IDLE_SECONDS),
    "audit": (audit.step, AUDIT_IDLE_SECONDS),
    "journal": (journal.step, STEP_IDLE_SECONDS),
    "imports": (imports.step, IMPORTS_IDLE_SECONDS),
    "resend": (resend.step, RESEND_IDLE_SECONDS),
    "notices": (notices.step, STEP_IDLE_SECONDS),
    "digests": (digests.step, STEP_IDLE_SECONDS),
    "sensitivity": (sensitivity.step, STEP_IDLE_SECONDS),
    "deletion": (deletion.step, STEP_IDLE_SECONDS),
}


def make_threads() -> list[PeriodicThread]:
    """Return an unstarted thread for each step."""
    return [PeriodicThread(name, step, idle) for name, (step, idle) in PERIODIC_STEPS.items()]
