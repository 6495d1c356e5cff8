"""The end of event deliveries: old ones, and those of deleted endpoints."""

from datetime import datetime, timedelta

from bson import ObjectId
from mongoengine import get_db

from documents.outgoing.due_deliveries import drop_deliveries
from documents.values.time import now

DROPPED_DELIVERIES_PER_STEP = 1_000
# A transaction that read an endpoint before its deletion may still store events.
DELETION_GRACE = timedelta(hours=1)


def drop_old_deliveries(before: datetime) -> int:
    """Drop some deliveries from before a time. Return how many. Keep those that wait."""
    query = {"_id": {"$lt": ObjectId.from_datetime(before)}, "next_attempt_at": None}
    deliveries = get_db().event_deliveries
    found = deliveries.find(query, {"_id": 1}).sort("_id", 1).limit(DROPPED_DELIVERIES_PER_STEP)
    ids = [row["_id"] for row in found]
    if ids:
        deliveries.delete_many({"_id": {"$in": ids}, "next_attempt_at": None})
    return len(ids)


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
