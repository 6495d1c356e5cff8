"""Job that computes what mailings would be credited with under other rules.

A lease lets one worker run it.
"""

from documents.concurrency.lease import keep_lease
from documents.sensitivity.turns import SensitivityTurns
from jobs.tasks import build_settling_policy

SENSITIVITY_LEASE = "sensitivity"

_turns = SensitivityTurns()


def step() -> bool:
    """Compute for about a second. Return whether anything was due."""
    with keep_lease(SENSITIVITY_LEASE) as holding:
        if holding is None:
            return False
        return _turns.work(build_settling_policy().matching, holding.is_lost)
