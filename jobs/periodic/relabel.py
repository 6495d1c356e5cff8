"""Job that labels stored clicks again after a change of the rule.

A lease lets one worker run it.
"""

import logging

from documents.concurrency.lease import keep_lease
from documents.tracking.relabelling import Relabelling
from jobs.tasks import build_settling_policy

log = logging.getLogger(__name__)

RELABEL_LEASE = "relabel"


def step() -> bool:
    """Label the clicks of the next emails. Return whether this worker has more to do."""
    rule = build_settling_policy().clicks
    if Relabelling.is_done(rule):
        return False
    with keep_lease(RELABEL_LEASE) as holding:
        if holding is None:
            return False
        state = Relabelling.continue_with(rule)
        more = state.step(rule)
    if not more and state.changed:
        log.info("relabel: %d clicks moved between people and machines", state.changed)
    return more
