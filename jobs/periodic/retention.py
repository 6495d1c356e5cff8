"""Job that drops old deliveries, events, changes and files. A lease lets one worker run it."""

from datetime import timedelta

from config.settings import get_settings
from documents.concurrency.lease import keep_lease
from documents.history.retention import drop_old_changes
from documents.imports.retention import drop_old_files
from documents.outgoing.retention import drop_deliveries_of_deleted
from documents.privacy import retention
from documents.values.time import now

RETENTION_LEASE = "retention"


def step() -> bool:
    """Drop some old deliveries, events, changes and files. Return whether there were any."""
    with keep_lease(RETENTION_LEASE) as holding:
        return holding is not None and _drop_some()


def _drop_some() -> bool:
    keep = get_settings()
    oldest_post = now() - timedelta(days=keep.keep_deliveries_days)
    posts = retention.drop_deliveries(oldest_post) + retention.drop_shared_posts(oldest_post)
    events = retention.drop_events(now() - timedelta(days=keep.keep_events_days))
    outgoing = retention.drop_event_deliveries(oldest_post) + drop_deliveries_of_deleted()
    changes = drop_old_changes(now() - timedelta(days=keep.keep_history_days))
    return bool(posts + events + outgoing + changes + drop_old_files(now()))
