"""The stored form of webhook deliveries."""

from datetime import datetime
from typing import NotRequired, TypedDict

from bson import ObjectId

from documents.rows.record import RecordRow, SourceRow


class RefusedItem(TypedDict):
    """An item of a POST that Matchback cannot use."""

    index: int
    reason: str


class ErasedItemsRow(TypedDict):
    """A row of `erased_items`; see `ErasedItems`."""

    _id: ObjectId
    organization_id: ObjectId
    items: NotRequired[list[int]]
    copy_of: NotRequired[ObjectId]


class WebhookDeliveryRow(RecordRow, SourceRow):
    """A row of `deliveries`; see `WebhookDelivery`."""

    provider: str
    body: bytes
    items: int
    by_test_key: NotRequired[bool]
    next_item: NotRequired[int | None]
    bad_event: NotRequired[str]
    tallied_at: NotRequired[datetime]
    counted_events: NotRequired[int]
    repeated_events: NotRequired[int]
    unmatched_events: NotRequired[int]
    refused_events: NotRequired[int]
    refused: NotRequired[list[RefusedItem]]
