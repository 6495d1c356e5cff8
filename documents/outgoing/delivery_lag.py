"""The backlog of outgoing events, for operators."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mongoengine import get_db

from documents.outgoing.due_deliveries import find_all_due
from documents.outgoing.event_delivery import PENDING_FILTER
from documents.outgoing.webhook_endpoint import FAILING_FILTER
from documents.values.time import now

MAX_COUNTED_DELIVERIES = 100_000  # limits the cost of a query
MAX_INSPECTED_DELIVERIES = 10_000
PENDING_INDEX = "next_attempt_at_1_endpoint_id_1"
FAILING_INDEX = "failing_since_1"
ACTIVE_ENDPOINTS = {"deleted_at": None, "disabled_reason": None}


@dataclass(frozen=True)
class DeliveryLag:
    """The backlog of outgoing events.

    Attributes:
        lag_seconds: how long the oldest event has been due. Events of failing endpoints do not
            count, because only their receivers are late.
        pending: events that wait, including those of failing endpoints; at most 100,000.
        failing_endpoints: enabled endpoints whose last attempt failed.
    """

    lag_seconds: float
    pending: int
    failing_endpoints: int


def measure_delivery_lag() -> DeliveryLag:
    """Measure the backlog. Its size does not change the cost."""
    pending = get_db().event_deliveries.count_documents(
        PENDING_FILTER, hint=PENDING_INDEX, limit=MAX_COUNTED_DELIVERIES
    )
    failing = {**FAILING_FILTER, **ACTIVE_ENDPOINTS}
    return DeliveryLag(
        lag_seconds=_measure_lag() if pending else 0.0,
        pending=pending,
        failing_endpoints=get_db().webhook_endpoints.count_documents(failing, hint=FAILING_INDEX),
    )


def _measure_lag() -> float:
    """Look up the endpoints of the first due events. Others matter only if all of these fail."""
    at, healthy = now(), {**ACTIVE_ENDPOINTS, "failing_since": None}
    due = _find_first_due(at)
    ids = {"_id": {"$in": [row["_id"] for row in due]}, **healthy}
    found = set(get_db().webhook_endpoints.distinct("_id", ids))
    since = [row["since"] for row in due if row["_id"] in found]
    if not since and sum(row["number"] for row in due) >= MAX_INSPECTED_DELIVERIES:
        since = list(find_all_due(at, healthy).values())
    return max(((at - one).total_seconds() for one in since), default=0.0)


def _find_first_due(at: datetime) -> list[dict[str, Any]]:
    """Return the endpoints of the first due events, with the number and the first time of these."""
    stages: list[dict[str, Any]] = [
        {"$match": {"next_attempt_at": {"$type": "date", "$lte": at}}},
        {"$sort": {"next_attempt_at": 1}},
        {"$limit": MAX_INSPECTED_DELIVERIES},
        {
            "$group": {
                "_id": "$endpoint_id",
                "since": {"$min": "$next_attempt_at"},
                "number": {"$sum": 1},
            }
        },
    ]
    return list(get_db().event_deliveries.aggregate(stages, hint=PENDING_INDEX))
