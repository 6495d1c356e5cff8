"""The end of the deliveries of deleted endpoints. privacy/retention.py ends the old ones."""

from datetime import timedelta

from mongoengine import get_db

from documents.outgoing.due_deliveries import drop_deliveries
from documents.values.time import now

# A transaction that read an endpoint before its deletion may still store events.
DELETION_GRACE = timedelta(hours=1)


def drop_deliveries_of_deleted() -> int:
    """Drop some deliveries of a deleted endpoint. Return how many."""
    endpoints = get_db().webhook_endpoints
    deleted = {"deleted_at": {"$ne": None}, "is_dropped": None}
    for endpoint in endpoints.find(deleted, {"deleted_at": 1}):
        if dropped := drop_deliveries(endpoint["_id"]):
            return dropped
        if endpoint["deleted_at"] < now() - DELETION_GRACE:
            endpoints.update_one({"_id": endpoint["_id"]}, {"$set": {"is_dropped": True}})
    return 0
