"""The arms of an experiment for each value of an attribute, from counters.

With many values, chance alone makes some of them look special. So all comparisons of the table
share the error (see experiment_comparison.py), and values with few recipients have none. Only the
number of recipients decides which values are compared, because a choice by results would be biased.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from bson import ObjectId

from documents.experiment import make_arm_id
from documents.mailing import Mailing
from documents.reports.counted_arms import CountedArm, add_counters, count_arm
from documents.reports.experiment_comparison import (
    compare_with_baseline,
    find_baseline,
    list_currencies,
)
from documents.reports.experiment_figures import (
    AMOUNT_DECIMALS,
    RATE_DECIMALS,
    ArmTotals,
    ComparisonFigures,
)
from documents.reports.past_report import open_snapshot
from documents.reports.segments import MAX_LISTED_VALUES, Kind, is_segment_shown, list_attributes
from documents.rows.collections import collection
from documents.rows.experiment import ArmRow, ArmSegmentRow, StoredExperiment
from documents.segments.arm_segment import make_arm_segment_id
from matchback.engine import Tx

MIN_COMPARED_RECIPIENTS = 100  # of the arm, and of the baseline
MAX_COMPARISONS = 100  # each takes about 3 ms
ROWS_PER_ANSWER = 5_000

Counters = dict[str, Any]  # of one arm


class ValueArm(ArmTotals):
    """An arm's recipients with one value. Money is in minor units, by currency.

    Attributes:
        comparison: None for the baseline, and if too few recipients have the value.
    """

    response_rate: float | None
    raised_per_recipient: dict[str, float]
    comparison: ComparisonFigures | None


class ExperimentValue(TypedDict):
    """One value of the attribute: its own line, or `other` and `none` as in other reports."""

    kind: Kind
    value: str | None
    recipients: int
    arms: list[ValueArm]


class ExperimentValues(TypedDict):
    """The values of an attribute, those with most recipients first.

    Attributes:
        attributes: names that `by` can have for this mailing.
        comparisons: number of comparisons that share the error.
    """

    by: str
    attributes: list[str]
    comparisons: int
    min_recipients: int
    values: list[ExperimentValue]


@dataclass(frozen=True)
class _Line:
    """A value with the counters and the sums of each arm."""

    kind: Kind
    value: str | None
    rows: Sequence[Counters]
    arms: Sequence[CountedArm]

    @property
    def recipients(self) -> int:
        return sum(arm.response.recipients for arm in self.arms)

    def list_comparable(self) -> list[str]:
        """Return the names of the arms to compare with the baseline."""
        baseline = find_baseline(self.arms)
        if self.kind == "other" or baseline.response.recipients < MIN_COMPARED_RECIPIENTS:
            return []
        return [
            arm.name
            for arm in self.arms
            if arm is not baseline and arm.response.recipients >= MIN_COMPARED_RECIPIENTS
        ]


def build_experiment_values(
    mailing: Mailing, experiment: StoredExperiment, by: str, at: datetime
) -> ExperimentValues:
    """Return the figures by the values of an attribute."""
    with open_snapshot() as tx:
        counters = list(_read_values(tx, mailing, experiment, by))
    lines = [
        _Line(kind, value, rows, [count_arm(*one, at) for one in _zip_arms(experiment, rows)])
        for kind, value, rows in counters
    ]
    lines = [line for line in lines if line.recipients > 0]
    compared = _choose_compared(lines)
    number = sum(map(len, compared.values()))
    whole = [arm for line in lines for arm in line.arms]
    currencies = list_currencies(whole)
    return {
        "by": by,
        "attributes": list_attributes(mailing),
        "comparisons": number,
        "min_recipients": MIN_COMPARED_RECIPIENTS,
        "values": [
            {
                "kind": line.kind,
                "value": line.value,
                "recipients": line.recipients,
                "arms": _describe_arms(line, compared.get(place, []), currencies, number),
            }
            for place, line in enumerate(lines)
        ],
    }


def _choose_compared(lines: Sequence[_Line]) -> dict[int, list[str]]:
    """Return the arms to compare by the place of their line, those with most recipients first."""
    compared: dict[int, list[str]] = {}
    left = MAX_COMPARISONS
    for place in sorted(range(len(lines)), key=lambda place: -lines[place].recipients):
        names = lines[place].list_comparable()
        if len(names) > left:
            break
        left -= len(names)
        compared[place] = names
    return compared


def _read_values(
    tx: Tx, mailing: Mailing, experiment: StoredExperiment, by: str
) -> Iterator[tuple[Kind, str | None, list[Counters]]]:
    """Yield each value with the counters of all arms, in the order of the definition."""
    arm_ids = [make_arm_id(mailing.id, arm["name"]) for arm in experiment["arms"]]
    without = _read_arms(tx, mailing, arm_ids)
    values = _read_parts(tx, mailing, arm_ids, by)
    for rows in values.values():
        _add_all(without, rows, -1)
    others = values.pop(None, [{} for _ in arm_ids])
    largest = sorted(values.items(), key=lambda one: (-_count(one[1]), one[0] or ""))
    for place, (value, rows) in enumerate(largest):
        if place < MAX_LISTED_VALUES and is_segment_shown(by, _count(rows)):
            yield "value", value, rows
        else:
            _add_all(others, rows)
    yield "other", None, others
    yield "none", None, without


def _read_arms(tx: Tx, mailing: Mailing, arm_ids: Sequence[str]) -> list[Counters]:
    of = {"_id": {"$in": list(arm_ids)}, "organization_id": mailing.organization_id}
    found = collection(tx.database, ArmRow).find(of, session=tx.session)
    rows: dict[str, Any] = {row["_id"]: row for row in found}
    totals: list[Counters] = [{} for _ in arm_ids]
    _add_all(totals, [rows.get(id_, {}) for id_ in arm_ids])
    return totals


def _read_parts(
    tx: Tx, mailing: Mailing, arm_ids: Sequence[str], by: str
) -> dict[str | None, list[Counters]]:
    """Return the counters of all arms by value; None is the value beyond the limit."""
    of = {"organization_id": mailing.organization_id, "mailing_id": mailing.id, "attribute": by}
    segments = list(tx.database.segments.find(of, {"value": 1}, session=tx.session))
    ids: dict[ObjectId, tuple[str | None, int]] = {
        make_arm_segment_id(segment["_id"], arm_id): (segment.get("value"), place)
        for segment in segments
        for place, arm_id in enumerate(arm_ids)
    }
    values: defaultdict[str | None, list[Counters]] = defaultdict(lambda: [{} for _ in arm_ids])
    parts = {"_id": {"$in": list(ids)}, "organization_id": mailing.organization_id}
    for row in collection(tx.database, ArmSegmentRow).find(
        parts, session=tx.session, batch_size=ROWS_PER_ANSWER
    ):
        value, place = ids[row["_id"]]
        add_counters(values[value][place], row)
    return values


def _add_all(totals: Sequence[Counters], rows: Sequence[Mapping[str, Any]], sign: int = 1) -> None:
    for total, row in zip(totals, rows, strict=True):
        add_counters(total, row, sign)


def _count(rows: Sequence[Counters]) -> int:
    return sum(row.get("recipients", 0) for row in rows)


def _zip_arms(experiment: StoredExperiment, rows: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(experiment["arms"], rows, strict=True)


def _describe_arms(
    line: _Line, compared: Sequence[str], currencies: Sequence[str], comparisons: int
) -> list[ValueArm]:
    return [
        {
            "name": arm.name,
            "held_out": arm.definition["held_out"],
            "recipients": arm.response.recipients,
            "open_recipients": arm.open_recipients,
            "delivered": row.get("delivered", 0),
            "opened": row.get("opened", 0),
            "clicked": row.get("clicked", 0),
            "givers": arm.response.givers,
            "raised": {code: sums.raised for code, sums in arm.money.items()},
            "credited": arm.credited,
            "response_rate": _rate(arm),
            "raised_per_recipient": {
                code: round(arm.in_currency(code).raised_per_recipient, AMOUNT_DECIMALS)
                for code in currencies
            },
            "comparison": compare_with_baseline(arm, line.arms, currencies, comparisons)
            if arm.name in compared
            else None,
        }
        for arm, row in zip(line.arms, line.rows, strict=True)
    ]


def _rate(arm: CountedArm) -> float | None:
    sums = arm.response
    return round(sums.response_rate, RATE_DECIMALS) if sums.recipients else None
