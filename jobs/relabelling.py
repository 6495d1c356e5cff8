"""Judging stored clicks anew when the rule was changed; a lease lets one worker do it."""

import logging
from datetime import timedelta

from documents.lease import Lease
from documents.relabelling import Relabelling
from jobs.tasks import policy

log = logging.getLogger(__name__)

LEASE = "relabel"
LEASE_TIME = timedelta(seconds=60)


def step() -> bool:
    """Judge the clicks of the next emails, if there are any to be judged by us now."""
    rule = policy().clicks
    if Relabelling.is_done(rule) or not Lease.take(LEASE, LEASE_TIME):
        return False
    state = Relabelling.towards(rule)
    more = state.step(rule)
    if not more and state.changed:
        log.info("relabel: %d clicks changed sides", state.changed)
    return more
