"""The stored form of payments."""

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from bson import ObjectId


class StoredAssignment(TypedDict):
    """The fundraiser that a person chose for a payment."""

    fundraiser_id: ObjectId
    at: datetime


class PaymentRow(TypedDict):
    """A row of `payments`; see `Payment`.

    In memory, `assigned` is None after a change that was not accepted.
    """

    _id: str
    organization_id: ObjectId
    public_id: NotRequired[ObjectId]
    key: NotRequired[str]
    reason: NotRequired[str]
    assigned: NotRequired[StoredAssignment | None]
    facts: NotRequired[dict[str, Any]]
    linked_to: NotRequired[str]
    instalments: NotRequired[list[str]]
    gift_currency: NotRequired[str]
    notes: NotRequired[dict[str, Any]]
    donation_id: NotRequired[ObjectId]
    applied: NotRequired[dict[str, Any]]
    erased: NotRequired[bool]
    forgotten: NotRequired[list[str]]
    replaced: NotRequired[dict[str, Any] | None]
    created_at: NotRequired[datetime]
