"""Job that deletes organizations. A lease lets one worker run it.

It works on all organizations in deletion in turn. It rests as long as it works, so that settling
for other organizations keeps its speed.
"""

import time

from documents.concurrency.lease import hold_lease
from documents.organizations.deleting import delete_next_batch, list_deletions
from documents.storage import shutdown

DELETION_LEASE = "organization deletion"
MAX_REST_SECONDS = 1.0


def step() -> bool:
    """Delete what is possible now. Return whether an organization is in deletion."""
    waiting = list_deletions()
    if not waiting:
        return False
    with hold_lease(DELETION_LEASE) as lease:
        while waiting and lease is not None and not lease.is_lost() and not shutdown.has_begun():
            began_at = time.monotonic()
            waiting = [id_ for id_ in waiting if delete_next_batch(id_)]
            time.sleep(min(time.monotonic() - began_at, MAX_REST_SECONDS))
    return True
