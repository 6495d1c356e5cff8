"""The stored form of webhook endpoints and event deliveries."""

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from bson import ObjectId


class EndpointRow(TypedDict):
    """The fields of a row of `webhook_endpoints` that sending needs; see `WebhookEndpoint`."""

    _id: ObjectId
    url: str
    secret: str
    previous_secret: NotRequired[str]
    previous_secret_until: NotRequired[datetime]
    disabled_reason: NotRequired[str]
    deleted_at: NotRequired[datetime]
    failing_since: NotRequired[datetime]
    succeeded_at: NotRequired[datetime]


class DeliveryRow(TypedDict):
    """The fields of a row of `event_deliveries` that sending needs; see `EventDelivery`."""

    _id: ObjectId
    endpoint_id: ObjectId
    event_id: ObjectId
    type: str
    record_id: ObjectId
    version: int
    at: datetime
    data: dict[str, Any]
    next_attempt_at: datetime
    first_attempt_at: NotRequired[datetime]
    tries: NotRequired[int]
