"""The deliveries of an endpoint as clients and staff see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from bson import ObjectId

from documents.errors import NotFound
from documents.outgoing.bodies import build_bodies, format_event_id
from documents.outgoing.event_delivery import STATE_FILTERS, DeliveryState, EventDelivery
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.storage.pagination import RecordPage, list_page

NEWEST_FIRST = "-_id"
MAX_COUNTED_DELIVERIES = 100  # per endpoint and state


@dataclass(frozen=True)
class ShownAttempt:
    """An attempt to send an event.

    status: HTTP status of the response; None without a response.
    error: why the attempt failed, in English; None after a success.
    """

    at: datetime
    seconds: float | None
    status: int | None
    error: str | None


@dataclass(frozen=True)
class ShownDelivery:
    """A delivery with its body as it would be sent now, and its attempts, newest first."""

    id: ObjectId
    event_id: str
    type: str
    record_id: ObjectId
    version: int
    created_at: datetime
    state: DeliveryState
    next_attempt_at: datetime | None
    failed_at: datetime | None
    delivered_at: datetime | None
    attempts: list[ShownAttempt]
    body: dict[str, Any]


def list_deliveries(
    endpoint: WebhookEndpoint, state: DeliveryState | None, limit: int, cursor: str | None
) -> RecordPage:
    """Return a page of an endpoint's deliveries, newest first.

    Raises:
        InvalidCursor: no list of deliveries made the cursor.
    """
    found = list_page(
        EventDelivery,
        endpoint.organization_id,
        filters={"endpoint_id": endpoint.id, **(STATE_FILTERS[state] if state else {})},
        sort=NEWEST_FIRST,
        limit=limit,
        cursor=cursor,
    )
    return RecordPage(show_deliveries(found.records), found.next_cursor)


def fetch_delivery(endpoint: WebhookEndpoint, id_: str) -> EventDelivery:
    """Return a delivery of the endpoint by its ID.

    Raises:
        NotFound: the endpoint has no such delivery.
    """
    of = {"organization_id": endpoint.organization_id, "endpoint_id": endpoint.id}
    found = EventDelivery.objects(id=id_, **of).first() if ObjectId.is_valid(id_) else None
    if found is None:
        raise NotFound
    delivery: EventDelivery = found
    return delivery


def count_deliveries(endpoint: WebhookEndpoint, state: DeliveryState) -> str:
    """Return the number of deliveries in a state, such as "3" or "100+"."""
    of = {"organization_id": endpoint.organization_id, "endpoint_id": endpoint.id}
    found = EventDelivery.objects(__raw__=of | STATE_FILTERS[state]).hint(state)
    number = found.limit(MAX_COUNTED_DELIVERIES + 1).count(with_limit_and_skip=True)
    return f"{MAX_COUNTED_DELIVERIES}+" if number > MAX_COUNTED_DELIVERIES else str(number)


def show_deliveries(deliveries: Sequence[EventDelivery]) -> list[ShownDelivery]:
    """Return the deliveries with their bodies, in the same order."""
    bodies = build_bodies(deliveries)
    return [_show(one, body) for one, body in zip(deliveries, bodies, strict=True)]


def _show(delivery: EventDelivery, body: bytes) -> ShownDelivery:
    return ShownDelivery(
        id=ObjectId(delivery.id),
        event_id=format_event_id(delivery.event_id),
        type=delivery.type,
        record_id=delivery.record_id,
        version=delivery.version,
        created_at=delivery.at,
        state=delivery.state,
        next_attempt_at=delivery.next_attempt_at,
        failed_at=delivery.failed_at,
        delivered_at=delivery.delivered_at,
        attempts=[_show_attempt(one) for one in reversed(delivery.attempts)],
        body=orjson.loads(body),
    )


def _show_attempt(stored: dict[str, Any]) -> ShownAttempt:
    names = ("seconds", "status", "error")
    return ShownAttempt(stored["at"], **{name: stored.get(name) for name in names})
