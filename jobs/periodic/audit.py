"""Job that links finished acts into the audit chains. A lease lets one worker run it."""

from documents.access import audit
from documents.concurrency.lease import keep_lease

AUDIT_LEASE = "audit"


def step() -> bool:
    """Link finished acts. Return whether there were any."""
    with keep_lease(AUDIT_LEASE) as holding:
        return holding is not None and audit.link_finished_acts() > 0
