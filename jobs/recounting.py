"""Recounting by and by; a lease lets one worker do it."""

import logging
from datetime import timedelta

from config.settings import settings
from documents.clock import now
from documents.lease import Lease
from documents.steady_recount import SteadyRecount

log = logging.getLogger(__name__)

LEASE = "steady recount"
LEASE_TIME = timedelta(seconds=60)


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
