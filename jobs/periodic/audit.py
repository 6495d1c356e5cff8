"""The job that links finished acts into the audit chains. A lease lets one worker do it."""

from documents.access import audit
from documents.concurrency.lease import kept

LEASE = "audit"


def step() -> bool:
    """Link finished acts. Return whether there were any."""
    with kept(LEASE) as holding:
        return holding is not None and audit.link() > 0
