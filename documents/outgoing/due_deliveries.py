"""Searches for due deliveries, whose cost never depends on how many wait.

A failing endpoint can have a million of them. So a search reads the deliveries that became due
recently, or the first ones of each endpoint.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from bson import ObjectId
from mongoengine import get_db

from documents.outgoing.event_delivery import PENDING_FILTER
from documents.rows.event_delivery import DeliveryRow, EndpointRow
from documents.values.time import now

ENDPOINT_FIELDS = tuple(EndpointRow.__annotations__)
DELIVERY_FIELDS = tuple(DeliveryRow.__annotations__)
ENDED_ROWS_PER_STEP = 1_000
PENDING_DATE = PENDING_FILTER["next_attempt_at"]


def find_recently_due(since: datetime, until: datetime) -> set[ObjectId]:
    """Return the endpoints of the deliveries that became due in this time."""
    query = {"next_attempt_at": {**PENDING_DATE, "$gt": since, "$lte": until}}
    return set(get_db().event_deliveries.distinct("endpoint_id", query))


def find_all_due(
    until: datetime, endpoints: Mapping[str, Any] | None = None
) -> dict[ObjectId, datetime]:
    """Return every endpoint with due deliveries, and when the first one became due.

    The cost is proportional to the number of endpoints.

    Args:
        endpoints: condition on endpoints. Without it, deleted ones are included, too.
    """
    found = _look_up_due(endpoints or {}, 1, until)
    return {row["_id"]: row["due"][0]["next_attempt_at"] for row in found}


def read_endpoints(ids: Iterable[ObjectId]) -> dict[ObjectId, EndpointRow]:
    """Return the endpoints with these IDs, including disabled and deleted ones."""
    query = {"_id": {"$in": list(ids)}}
    rows = get_db().webhook_endpoints.find(query, dict.fromkeys(ENDPOINT_FIELDS, 1))
    return {row["_id"]: cast("EndpointRow", row) for row in rows}


def read_due(
    ids: Sequence[ObjectId], limit: int, until: datetime
) -> dict[ObjectId, list[DeliveryRow]]:
    """Return the first due deliveries of each endpoint, in the order of their time."""
    found = _look_up_due({"_id": {"$in": list(ids)}}, limit, until, DELIVERY_FIELDS)
    return {row["_id"]: row["due"] for row in found}


def _look_up_due(
    endpoints: Mapping[str, Any],
    limit: int,
    until: datetime,
    fields: Iterable[str] = ("next_attempt_at",),
) -> Iterable[Mapping[str, Any]]:
    due = [
        {"$match": {"next_attempt_at": {**PENDING_DATE, "$lte": until}}},
        {"$sort": {"next_attempt_at": 1}},
        {"$limit": limit},
        {"$project": dict.fromkeys(fields, 1)},
    ]
    look_up = {
        "from": "event_deliveries",
        "localField": "_id",
        "foreignField": "endpoint_id",
        "pipeline": due,
        "as": "due",
    }
    return cast(
        "Iterable[Mapping[str, Any]]",
        get_db().webhook_endpoints.aggregate(
            [
                {"$match": endpoints},
                {"$project": {"_id": 1}},
                {"$lookup": look_up},
                {"$match": {"due": {"$ne": []}}},
            ]
        ),
    )


def fail_pending(endpoint_id: ObjectId) -> int:
    """Fail some pending deliveries of a disabled endpoint. Return how many."""
    deliveries = get_db().event_deliveries
    ids = _list_some({"endpoint_id": endpoint_id, **PENDING_FILTER})
    if ids:
        change = {"$set": {"failed_at": now()}, "$unset": {"next_attempt_at": ""}}
        deliveries.update_many({"_id": {"$in": ids}, **PENDING_FILTER}, change)
    return len(ids)


def drop_deliveries(endpoint_id: ObjectId) -> int:
    """Drop some deliveries of a deleted endpoint. Return how many."""
    ids = _list_some({"endpoint_id": endpoint_id})
    if ids:
        get_db().event_deliveries.delete_many({"_id": {"$in": ids}})
    return len(ids)


def _list_some(query: Mapping[str, Any]) -> list[ObjectId]:
    found = get_db().event_deliveries.find(query, {"_id": 1}).limit(ENDED_ROWS_PER_STEP)
    return [row["_id"] for row in found]
