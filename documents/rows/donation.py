"""The stored form of donations, their decisions and their donors."""

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from bson import ObjectId

from documents.rows.record import RecordRow, SourceRow


class StoredPin(TypedDict):
    """Staff's decision: an email, or None if no email led to the gift."""

    email_id: ObjectId | None
    at: datetime


class StoredReason(TypedDict):
    """The reason why a decision chose an email or rejected it."""

    email_id: ObjectId
    reason: str


class StoredDecision(TypedDict):
    """Result of matching a gift. Decisions of earlier versions lack some of the fields."""

    rule: str
    touch: NotRequired[str | None]
    note: NotRequired[str | None]
    window_seconds: NotRequired[int]
    policy: NotRequired[dict[str, Any]]
    considered: NotRequired[list[StoredReason]]
    pinned_at: NotRequired[datetime | None]
    decided_at: NotRequired[datetime]


class MatchFields(TypedDict):
    """The fields that a decision writes to a gift.

    None in memory means an unset field in MongoDB.
    """

    match: NotRequired[str | None]
    decision: NotRequired[StoredDecision | None]
    email_id: NotRequired[ObjectId | None]
    mailing_id: NotRequired[ObjectId | None]
    user_id: NotRequired[ObjectId | None]
    follows: NotRequired[ObjectId | None]
    rematch: NotRequired[bool | None]
    fundraiser_donor_id: NotRequired[str | None]
    mailing_donor_id: NotRequired[str | None]
    fundraiser_day_id: NotRequired[str | None]
    mailing_day_id: NotRequired[str | None]
    delay: NotRequired[str | None]


class DonationRow(RecordRow, SourceRow, MatchFields):
    """A row of `donations`; see `Donation`."""

    fundraiser_id: ObjectId
    amount: int
    currency: str
    donor_name: str
    donor_email: str
    donor_address: NotRequired[str]
    donor_mailbox: NotRequired[str]
    email_ref: NotRequired[str]
    recurring_id: NotRequired[str]
    status: str
    refunded_amount: NotRequired[int]
    external_id: NotRequired[str]
    payment_id: NotRequired[str]
    donated_at: datetime
    pin: NotRequired[StoredPin | None]
    held_at: NotRequired[datetime]
    stopped: NotRequired[bool]
    outgoing: NotRequired[dict[str, Any]]
    participant_ids: NotRequired[list[ObjectId] | None]
    outcomes_due: NotRequired[bool | None]


class MatchRow(TypedDict):
    """A row of `matches`; see `Match`."""

    _id: ObjectId
    organization_id: ObjectId
    fundraiser_id: ObjectId
    match: str
    donated_at: datetime
    links: list[Any]  # ObjectIds and digests of texts


class PastMatchRow(TypedDict):
    """A row of `past_matches`; see `PastMatch`."""

    _id: ObjectId
    organization_id: ObjectId
    donation_id: ObjectId
    fundraiser_id: NotRequired[ObjectId]
    match: NotRequired[str]
    email_id: NotRequired[ObjectId]
    decision: NotRequired[StoredDecision]
    replaced_at: datetime


class DonorRow(TypedDict):
    """A row of `donors`; see `Donor`."""

    _id: str
    organization_id: NotRequired[ObjectId]
    fundraiser_id: NotRequired[ObjectId]
    mailing_id: NotRequired[ObjectId]
    donations_count: NotRequired[int]
    counted: NotRequired[list[Any]]
    due: NotRequired[datetime]


class GiftDayRow(TypedDict):
    """A row of `gift_days`; see `GiftDay`."""

    _id: str
    fundraiser_id: NotRequired[ObjectId]
    mailing_id: NotRequired[ObjectId]
    gifts: NotRequired[dict[str, int]]
    raised: NotRequired[dict[str, dict[str, int]]]
    created_at: NotRequired[datetime]
