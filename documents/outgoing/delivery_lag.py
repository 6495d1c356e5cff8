"""The backlog of outgoing events, for operators."""

from dataclasses import dataclass
from datetime import datetime

from mongoengine import get_db

from documents.outgoing.due_deliveries import find_all_due
from documents.outgoing.event_delivery import PENDING_FILTER
from documents.outgoing.webhook_endpoint import FAILING_FILTER
from documents.values.time import now

MAX_COUNTED_DELIVERIES = 100_000  # limits the cost of a query
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
    """Look up each endpoint only if the first due event does not answer the question."""
    at, healthy = now(), {**ACTIVE_ENDPOINTS, "failing_since": None}
    first = get_db().event_deliveries.find_one(
        {"next_attempt_at": {"$type": "date", "$lte": at}},
        {"endpoint_id": 1, "next_attempt_at": 1},
        sort=[("next_attempt_at", 1)],
        hint=PENDING_INDEX,
    )
    if first is None:
        return 0.0
    since: datetime | None = first["next_attempt_at"]
    if not get_db().webhook_endpoints.find_one(
        {"_id": first["endpoint_id"], **healthy}, {"_id": 1}
    ):
        since = min(find_all_due(at, healthy).values(), default=None)
    return (at - since).total_seconds() if since else 0.0
