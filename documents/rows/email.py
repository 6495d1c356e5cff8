"""The stored form of emails, of their messages and of late touches."""

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from bson import ObjectId

from documents.rows.record import RecordRow, SourceRow


class EmailRow(RecordRow, SourceRow):
    """A row of `emails`; see `Email`."""

    fundraiser_id: ObjectId
    mailing_id: NotRequired[ObjectId]
    user_id: ObjectId
    sent_at: NotRequired[datetime]
    import_key: NotRequired[str]
    attributes: NotRequired[dict[str, str]]
    segment_ids: NotRequired[list[ObjectId]]
    erased: NotRequired[bool]
    arm_id: NotRequired[str]
    arm_segment_ids: NotRequired[list[ObjectId]]
    held_out: NotRequired[bool]
    outcome_from: NotRequired[datetime]
    outcome_until: NotRequired[datetime]
    organization_wide: NotRequired[bool]
    opens: NotRequired[int]
    clicks: NotRequired[int]
    machine_opens: NotRequired[int]
    machine_clicks: NotRequired[int]
    unknown_events: NotRequired[int]
    first_opened_at: NotRequired[datetime]
    last_opened_at: NotRequired[datetime]
    first_clicked_at: NotRequired[datetime]
    last_clicked_at: NotRequired[datetime]
    deferred_at: NotRequired[datetime]
    delivered_at: NotRequired[datetime]
    bounced_at: NotRequired[datetime]
    blocked_at: NotRequired[datetime]
    dropped_at: NotRequired[datetime]
    unsubscribed_at: NotRequired[datetime]
    resubscribed_at: NotRequired[datetime]
    spam_reported_at: NotRequired[datetime]
    left: NotRequired[dict[str, datetime]]
    back: NotRequired[dict[str, datetime]]
    donated: NotRequired[bool]
    donations_count: NotRequired[int]
    raised: NotRequired[dict[str, int]]
    matched_at: NotRequired[datetime]
    outgoing: NotRequired[dict[str, Any]]


class MessageRow(TypedDict):
    """A row of `messages`; see `Message`."""

    _id: ObjectId
    email_id: ObjectId


class StoredTouch(TypedDict):
    """The time since which a user's gifts to a fundraiser may match differently."""

    fundraiser_id: ObjectId
    user_id: ObjectId
    since: datetime


class LateTouchesRow(TypedDict):
    """A row of `late_touches`; see `LateTouches`."""

    _id: ObjectId
    organization_id: ObjectId
    due: datetime
    touches: NotRequired[list[StoredTouch]]
    participants: NotRequired[list[ObjectId]]
    moved_mailing_id: NotRequired[ObjectId]
