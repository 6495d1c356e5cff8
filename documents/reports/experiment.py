"""The figures of an experiment's arms, from their counters. The cost is the same at any size."""

from datetime import datetime
from typing import Any, TypedDict

from bson import ObjectId
from mongoengine import get_db

from documents.experiment import fetch_experiment, make_arm_id
from documents.mailing import Mailing
from documents.reports.figures import Unsettled
from documents.reports.unsettled import read_unsettled
from documents.rows.collections import collection
from documents.rows.experiment import ArmRow, OutcomeScope, StoredArm
from documents.values.rates import drop_zero_totals
from documents.values.time import now


class ArmReport(TypedDict):
    """An arm's definition and its counters. Money is in minor units."""

    name: str
    weight: int
    held_out: bool
    recipients: int
    delivered: int
    opened: int
    clicked: int
    givers: int
    raised: dict[str, int]


class ExperimentReport(TypedDict):
    """An experiment's definition, with the report of each arm."""

    mailing_id: ObjectId
    window_days: int
    scope: OutcomeScope
    version: int
    started_at: datetime | None
    updated_at: datetime
    as_of: datetime
    unsettled: Unsettled
    arms: list[ArmReport]


def build_experiment_report(mailing: Mailing) -> ExperimentReport:
    """Build the report of a mailing's experiment.

    Raises:
        NotFound: the mailing has no experiment.
    """
    experiment = fetch_experiment(mailing)
    as_of, unsettled = now(), read_unsettled(mailing, mailing.fundraiser_id)
    ids = [make_arm_id(mailing.id, arm["name"]) for arm in experiment["arms"]]
    of = {"_id": {"$in": ids}, "organization_id": mailing.organization_id}
    rows = {row["_id"]: row for row in collection(get_db(), ArmRow).find(of)}
    return {
        "mailing_id": mailing.id,
        "window_days": experiment["window_days"],
        "scope": experiment["scope"],
        "version": experiment["version"],
        "started_at": experiment.get("started_at"),
        "updated_at": experiment["updated_at"],
        "as_of": as_of,
        "unsettled": unsettled,
        "arms": [
            _describe_arm(arm, rows.get(id_))
            for id_, arm in zip(ids, experiment["arms"], strict=True)
        ],
    }


def _describe_arm(arm: StoredArm, row: ArmRow | None) -> ArmReport:
    """Return an arm's counters. Statistics of the arm belong here, too."""
    counters: Any = row or {}
    return {
        "name": arm["name"],
        "weight": arm["weight"],
        "held_out": arm["held_out"],
        "recipients": counters.get("recipients", 0),
        "delivered": counters.get("delivered", 0),
        "opened": counters.get("opened", 0),
        "clicked": counters.get("clicked", 0),
        "givers": counters.get("givers", 0),
        "raised": drop_zero_totals(counters.get("raised", {})),
    }
