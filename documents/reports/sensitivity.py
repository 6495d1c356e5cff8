"""The sums that a mailing would be credited with under other rules, from the last complete run."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.mailing import Mailing
from documents.matching.policy import MatchPolicy
from documents.reports.figures import Amounts, Sensitivity
from documents.rows.collections import collection
from documents.rows.sensitivity import ComputedPolicy, SensitivityRow, SensitivityRunRow
from documents.sensitivity.rules import ALTERNATIVES, CREDITED, find_range
from documents.sensitivity.stored import make_sensitivity_id
from documents.values.rates import drop_zero_totals


def build_sensitivity(mailing: Mailing) -> Sensitivity | None:
    """Return the sums of a mailing under each rule; None if no run has included the mailing."""
    runs = _read_runs({mailing.fundraiser_id, *_list_fundraisers(mailing)})
    own = runs.get(mailing.fundraiser_id)
    # The time of a snapshot has no fractions of a second.
    if own is None or mailing.created_at.replace(microsecond=0) > own["computed_at"]:
        return None
    sums = _read_sums(mailing, runs.values())
    amounts = {one: drop_zero_totals(sums[one.key]) for one in ALTERNATIVES}
    credited = drop_zero_totals(sums[CREDITED])
    lowest, highest = find_range(list(amounts.values()), credited)
    present = _to_policy(own["policy"])
    return {
        "computed_at": min(run["computed_at"] for run in runs.values()),
        "credited": credited,
        "lowest": lowest,
        "highest": highest,
        "rules": [
            {
                "window_days": one.window_days,
                "touch": one.touch,
                "raised": amounts[one],
                "is_present": one.is_same(present),
            }
            for one in ALTERNATIVES
        ],
    }


def _list_fundraisers(mailing: Mailing) -> list[ObjectId]:
    """List the fundraisers whose gifts may belong to the mailing.

    Staff can pin a gift to an email of another fundraiser.
    """
    query = {"mailing_id": mailing.id}
    return [
        row["fundraiser_id"] for row in get_db().sensitivities.find(query, {"fundraiser_id": 1})
    ]


def _read_runs(fundraiser_ids: Iterable[ObjectId]) -> dict[ObjectId, SensitivityRunRow]:
    query = {"_id": {"$in": list(fundraiser_ids)}, "published": {"$ne": None}}
    found = collection(get_db(), SensitivityRunRow).find(query)
    return {run["_id"]: run for run in found}


def _read_sums(mailing: Mailing, runs: Iterable[SensitivityRunRow]) -> dict[str, Amounts]:
    ids = [make_sensitivity_id(mailing.id, run["_id"], run["published"]) for run in runs]
    sums: dict[str, Counter[str]] = {
        name: Counter() for name in (CREDITED, *(one.key for one in ALTERNATIVES))
    }
    for row in collection(get_db(), SensitivityRow).find({"_id": {"$in": ids}}):
        for name, amounts in row["sums"].items():
            if name in sums:
                sums[name].update(amounts)
    return {name: dict(amounts) for name, amounts in sums.items()}


def _to_policy(computed: ComputedPolicy) -> MatchPolicy:
    stored: Any = computed
    window = timedelta(seconds=stored["window_seconds"])
    return MatchPolicy(window=window, touch=stored["touch"])
