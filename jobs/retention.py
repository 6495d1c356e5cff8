"""Dropping what is older than it is to be kept; a lease lets one worker do it."""

from datetime import timedelta

from config.settings import settings
from documents import retention
from documents.clock import now
from documents.lease import Lease

LEASE = "retention"
LEASE_TIME = timedelta(seconds=60)


def step() -> bool:
    """Drop some deliveries and events that are too old. Returns whether there were any."""
    if not Lease.take(LEASE, LEASE_TIME):
        return False
    kept = settings()
    deliveries = retention.drop_deliveries(now() - timedelta(days=kept.keep_deliveries_days))
    return bool(deliveries + retention.drop_events(now() - timedelta(days=kept.keep_events_days)))
