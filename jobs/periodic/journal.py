"""Job that sums full hours of the journal. A lease lets one worker run it."""

from documents.concurrency.lease import keep_lease
from documents.history.hours import sum_next_hour
from documents.values.time import now

JOURNAL_LEASE = "journal"


def step() -> bool:
    """Sum the next full hour. Return whether one was complete."""
    with keep_lease(JOURNAL_LEASE) as holding:
        return holding is not None and sum_next_hour(now())
