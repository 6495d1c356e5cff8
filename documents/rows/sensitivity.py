"""The stored form of the sensitivity of mailings."""

from datetime import datetime
from typing import NotRequired, TypedDict

from bson import ObjectId
from bson.timestamp import Timestamp


class SensitivityRow(TypedDict):
    """A row of `sensitivities`; see `Sensitivity`."""

    _id: str
    organization_id: ObjectId
    fundraiser_id: ObjectId
    mailing_id: ObjectId
    number: int
    sums: dict[str, dict[str, int]]


class ComputedPolicy(TypedDict):
    """The window and the touch of the policy at the time of a run."""

    window_seconds: float
    touch: str


class SensitivityRunRow(TypedDict):
    """A row of `sensitivity_runs`; see `SensitivityRun`."""

    _id: ObjectId
    organization_id: ObjectId
    changed_at: datetime
    due: NotRequired[datetime]
    next_at: NotRequired[datetime]
    number: NotRequired[int]
    snapshot: NotRequired[Timestamp]
    after: NotRequired[ObjectId]
    pages: NotRequired[int]
    seconds: NotRequired[float]
    published: NotRequired[int]
    computed_at: NotRequired[datetime]
    policy: NotRequired[ComputedPolicy]
