"""The stored form of fundraisers, their mailings and their match policies."""

from datetime import datetime
from typing import NotRequired, TypedDict

from bson import ObjectId

from documents.rows.experiment import StoredExperiment
from documents.rows.record import RecordRow, SourceRow, TalliedRow


class FundraiserRow(RecordRow, TalliedRow):
    """A row of `fundraisers`; see `Fundraiser`."""

    name: str
    goal_amount: NotRequired[int]
    goal_currency: NotRequired[str]
    starts_at: NotRequired[datetime]
    ends_at: NotRequired[datetime]
    export_due: NotRequired[datetime]


class StoredCost(TypedDict):
    """A cost in minor units that was valid until a time; None if there was none."""

    until: datetime
    amount: int | None
    currency: str | None


class MailingRow(RecordRow, SourceRow, TalliedRow):
    """A row of `mailings`; see `Mailing`."""

    fundraiser_id: ObjectId
    name: str
    subject: NotRequired[str]
    sent_at: NotRequired[datetime]
    cost_amount: NotRequired[int]
    cost_currency: NotRequired[str]
    experiment: NotRequired[StoredExperiment]
    windows_due: NotRequired[datetime]
    former_costs: NotRequired[list[StoredCost]]


class PolicyVersionRow(TypedDict):
    """A row of `policy_versions`; see `PolicyVersion`."""

    _id: ObjectId
    organization_id: ObjectId
    fundraiser_id: NotRequired[ObjectId]
    version: int
    window_seconds: NotRequired[float]
    prefer: NotRequired[list[str]]
    touch: NotRequired[str]
    other_fundraiser: NotRequired[str]
    removed: NotRequired[bool]
    created_at: NotRequired[datetime]
