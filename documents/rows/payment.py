"""The stored form of payments."""

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from bson import ObjectId


class StoredAssignment(TypedDict):
    """The fundraiser that a person chose for a payment."""

    fundraiser_id: ObjectId
    at: datetime


class InheritedFields(TypedDict):
    """The fields that a payment takes over from its invoice.

    In memory, `assigned` is None after a rejected change.
    """

    assigned: NotRequired[StoredAssignment | None]
    erased: NotRequired[bool]
    forgotten: NotRequired[list[str]]
    replaced: NotRequired[dict[str, Any] | None]
    stripped_for: NotRequired[list[ObjectId]]


class PaymentRow(InheritedFields):
    """A row of `payments`; see `Payment`."""

    _id: str
    organization_id: ObjectId
    public_id: NotRequired[ObjectId]
    key: NotRequired[str]
    reason: NotRequired[str]
    facts: NotRequired[dict[str, Any]]
    linked_to: NotRequired[str]
    instalments: NotRequired[list[str]]
    gift_currency: NotRequired[str]
    notes: NotRequired[dict[str, Any]]
    donation_id: NotRequired[ObjectId]
    applied: NotRequired[dict[str, Any]]
    named_by: NotRequired[list[str]]
    created_at: NotRequired[datetime]
