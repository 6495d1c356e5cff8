"""The job that judges stored clicks again after the rule changed. A lease lets one worker do it."""

import logging

from documents.concurrency.lease import kept
from documents.tracking.relabelling import Relabelling
from jobs.tasks import policy

log = logging.getLogger(__name__)

LEASE = "relabel"


def step() -> bool:
    """Judge the clicks of the next emails. Return whether more may wait for this worker."""
    rule = policy().clicks
    if Relabelling.is_done(rule):
        return False
    with kept(LEASE) as holding:
        if holding is None:
            return False
        state = Relabelling.towards(rule)
        more = state.step(rule)
    if not more and state.changed:
        log.info("relabel: %d clicks changed sides", state.changed)
    return more
