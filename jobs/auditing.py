"""Linking what was done into the audit chains; a lease lets one worker do it."""

from datetime import timedelta

from documents import audit
from documents.lease import Lease

LEASE = "audit"
LEASE_TIME = timedelta(seconds=60)


def step() -> bool:
    """Link what is finished. Returns whether there was anything."""
    return Lease.take(LEASE, LEASE_TIME) and audit.link() > 0
