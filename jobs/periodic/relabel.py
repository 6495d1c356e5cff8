"""The job that judges stored clicks again after the rule changed. A lease lets one worker do it."""

import logging

from documents.concurrency.lease import keep_lease
from documents.tracking.relabelling import Relabelling
from jobs.tasks import build_settling_policy

log = logging.getLogger(__name__)

RELABEL_LEASE = "relabel"


def step() -> bool:
    """Judge the clicks of the next emails. Return whether more may wait for this worker."""
    rule = build_settling_policy().clicks
    if Relabelling.is_done(rule):
        return False
    with keep_lease(RELABEL_LEASE) as holding:
        if holding is None:
            return False
        state = Relabelling.continue_with(rule)
        more = state.step(rule)
    if not more and state.changed:
        log.info("relabel: %d clicks changed sides", state.changed)
    return more
