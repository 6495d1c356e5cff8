"""The figures of an experiment's arms, from their counters. The cost is the same at any size."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from bson import ObjectId
from mongoengine import get_db

from documents.experiment import fetch_experiment, make_arm_id
from documents.experiments.report import describe_arm
from documents.mailing import Mailing
from documents.reports.counted_arms import CountedArm, count_arm
from documents.reports.experiment_comparison import (
    choose_leading_verdict,
    compare_with_baseline,
    find_baseline,
    list_currencies,
)
from documents.reports.experiment_figures import (
    AMOUNT_DECIMALS,
    RATE_DECIMALS,
    ArmTotals,
    ComparisonFigures,
    Estimated,
    VerdictFigures,
    describe_estimate,
)
from documents.reports.experiment_values import ExperimentValues, build_experiment_values
from documents.reports.figures import Unsettled
from documents.reports.unsettled import read_unsettled
from documents.rows.collections import collection
from documents.rows.experiment import ArmRow, OutcomeScope, StoredExperiment
from documents.values.time import now


class ArmReport(ArmTotals):
    """An arm's definition, its counters and its comparison. Money is in minor units, by currency.

    Attributes:
        open_recipients: recipients whose window ends today (UTC) or later.
        credited: gifts that match the arm's emails, within the window or not.
        comparison: None for the baseline.
    """

    weight: int
    response_rate: Estimated
    raised_per_recipient: dict[str, Estimated]
    comparison: ComparisonFigures | None


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
    baseline: str
    open_recipients: int
    verdict: VerdictFigures
    arms: list[ArmReport]
    segments: ExperimentValues | None


def build_experiment_report(mailing: Mailing, by: str | None = None) -> ExperimentReport:
    """Build the report of a mailing's experiment.

    Args:
        by: attribute by whose values the report also shows the arms.

    Raises:
        NotFound: the mailing has no experiment.
    """
    experiment = fetch_experiment(mailing)
    as_of, unsettled = now(), read_unsettled(mailing, mailing.fundraiser_id)
    counted, rows = _count_arms(mailing, experiment, as_of)
    arms = [_describe_arm(arm, row, counted) for arm, row in zip(counted, rows, strict=True)]
    return {
        "mailing_id": mailing.id,
        "window_days": experiment["window_days"],
        "scope": experiment["scope"],
        "version": experiment["version"],
        "started_at": experiment.get("started_at"),
        "updated_at": experiment["updated_at"],
        "as_of": as_of,
        "unsettled": unsettled,
        "baseline": find_baseline(counted).name,
        "open_recipients": sum(arm["open_recipients"] for arm in arms),
        "verdict": choose_leading_verdict(_list_verdicts(arms)),
        "arms": arms,
        "segments": build_experiment_values(mailing, experiment, by, as_of) if by else None,
    }


def _list_verdicts(arms: Sequence[ArmReport]) -> list[VerdictFigures]:
    """Return the verdicts of arms that were sent, because staff ask for the effect of emails.

    If all arms are held out, return those of all.
    """
    verdicts = [(arm["held_out"], one["verdict"]) for arm in arms if (one := arm["comparison"])]
    sent = [verdict for held_out, verdict in verdicts if not held_out]
    return sent or [verdict for _, verdict in verdicts]


def _count_arms(
    mailing: Mailing, experiment: StoredExperiment, at: datetime
) -> tuple[list[CountedArm], list[ArmRow]]:
    """Return the sums of each arm, and its row, in the order of the definition."""
    ids = [make_arm_id(mailing.id, arm["name"]) for arm in experiment["arms"]]
    of = {"_id": {"$in": ids}, "organization_id": mailing.organization_id}
    found = {row["_id"]: row for row in collection(get_db(), ArmRow).find(of)}
    rows: list[ArmRow] = [found.get(id_, {"_id": id_}) for id_ in ids]
    return [
        count_arm(arm, row, at) for arm, row in zip(experiment["arms"], rows, strict=True)
    ], rows


def _describe_arm(arm: CountedArm, row: ArmRow, arms: Sequence[CountedArm]) -> ArmReport:
    is_baseline = arm is find_baseline(arms)
    rate = describe_arm(arm.response).response_rate
    raised = {
        code: describe_arm(arm.in_currency(code)).raised_per_recipient
        for code in list_currencies(arms)
    }
    return {
        "name": arm.name,
        "weight": arm.definition["weight"],
        "held_out": arm.definition["held_out"],
        "recipients": arm.response.recipients,
        "open_recipients": arm.open_recipients,
        "delivered": row.get("delivered", 0),
        "opened": row.get("opened", 0),
        "clicked": row.get("clicked", 0),
        "givers": arm.response.givers,
        "raised": {code: sums.raised for code, sums in arm.money.items()},
        "credited": arm.credited,
        "response_rate": describe_estimate(rate, RATE_DECIMALS),
        "raised_per_recipient": {
            code: describe_estimate(one, AMOUNT_DECIMALS, 0.0) for code, one in raised.items()
        },
        "comparison": None
        if is_baseline
        else compare_with_baseline(arm, arms, list_currencies(arms), len(arms) - 1),
    }
