"""The stored form of experiments, their arms and participants."""

from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict

from bson import ObjectId

OutcomeScope = Literal["fundraiser", "organization"]


class StoredArm(TypedDict):
    """An arm in the definition of an experiment."""

    name: str
    weight: int
    held_out: bool


class StoredExperiment(TypedDict):
    """The definition of an experiment, which its mailing holds."""

    arms: list[StoredArm]
    window_days: int
    scope: OutcomeScope
    version: int
    started_at: NotRequired[datetime]
    updated_at: datetime


class ParticipantRow(TypedDict):
    """A row of `participants`; see `Participant`."""

    _id: ObjectId
    organization_id: NotRequired[ObjectId]
    fundraiser_id: NotRequired[ObjectId]
    user_id: NotRequired[ObjectId]
    arm_id: NotRequired[str]
    since: NotRequired[datetime]
    until: NotRequired[datetime]
    organization_wide: NotRequired[bool]
    links: NotRequired[list[Any]]
    arm_segment_ids: NotRequired[list[ObjectId]]
    emails: NotRequired[int]
    gifts: NotRequired[int]
    raised: NotRequired[dict[str, int]]
    counted: NotRequired[list[Any]]
    due: NotRequired[datetime]


class ArmCountersRow(TypedDict):
    """The counters of `ArmCounters`, and the owners of the row that has them."""

    organization_id: NotRequired[ObjectId]
    fundraiser_id: NotRequired[ObjectId]
    mailing_id: NotRequired[ObjectId]
    recipients: NotRequired[int]
    delivered: NotRequired[int]
    opened: NotRequired[int]
    clicked: NotRequired[int]
    givers: NotRequired[int]
    givers_by_currency: NotRequired[dict[str, int]]
    raised: NotRequired[dict[str, int]]
    credited: NotRequired[dict[str, int]]
    ends: NotRequired[dict[str, int]]
    squares: NotRequired[dict[str, Any]]


class ArmRow(ArmCountersRow):
    """A row of `arms`; see `Arm`."""

    _id: str


class ArmSegmentRow(ArmCountersRow):
    """A row of `arm_segments`; see `ArmSegment`."""

    _id: ObjectId
    segment_id: NotRequired[ObjectId]
    arm_id: NotRequired[str]
