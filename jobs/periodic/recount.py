"""Background recount. A lease lets one worker run it."""

import logging
from datetime import timedelta

from config.settings import get_settings
from documents.concurrency.lease import keep_lease
from documents.recount.background import SteadyRecount
from documents.values.time import now

log = logging.getLogger(__name__)

RECOUNT_LEASE = "steady recount"


def step() -> bool:
    """Compare the next page. Return whether a page was due and this worker holds the lease."""
    with keep_lease(RECOUNT_LEASE) as holding:
        return holding is not None and _compare_next_page()


def _compare_next_page() -> bool:
    state = SteadyRecount.current()
    interval = timedelta(hours=get_settings().recount_hours)
    ended = state.last_finished_at
    if state.is_at_start and ended is not None and now() - ended < interval:
        return False
    for drift in state.step():
        log.error("incorrect counter: %s %s %s", drift.collection, drift.id, drift.field)
    return True
