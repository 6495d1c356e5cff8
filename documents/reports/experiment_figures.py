"""The figures in the report of an experiment. Pure.

Rates are from 0 to 1. Money is in minor units, by currency.
"""

import math
from typing import Literal, NotRequired, TypedDict

from documents.experiments.report import Effect
from documents.experiments.sums import Estimate, Interval
from documents.experiments.verdict import VerdictKind

RATE_DECIMALS, AMOUNT_DECIMALS = 6, 2
LEAST_LIFT = -1.0


class Estimated(TypedDict):
    """A figure with its interval. An end is None if the data set no bound."""

    value: float
    low: float | None
    high: float | None


class EffectFigures(TypedDict):
    """A figure of an arm minus that of the baseline.

    Attributes:
        lift: the difference divided by the baseline's figure; None if that is zero.
        caused: the difference times the recipients of the arm.
    """

    difference: Estimated
    lift: Estimated | None
    caused: Estimated


class VerdictFigures(TypedDict):
    """A `Verdict` about an arm. The ends are what the arm caused, in givers or minor units.

    Attributes:
        opposite_currencies: those in which the arm had the opposite effect on money.
        sentence: the verdict in words, which the service adds.
    """

    arm: str
    baseline: str
    has_holdout: bool
    kind: VerdictKind
    figure: Literal["raised", "response"] | None
    currency: str | None
    low: float | None
    high: float | None
    credited: int | None
    more_recipients: int | None
    open_recipients: int | None
    smallest_difference: float
    largest_difference: float | None
    opposite_currencies: list[str]
    sentence: NotRequired[str]


class ComparisonFigures(TypedDict):
    """An arm beside the baseline; money by currency, in minor units."""

    baseline: str
    response: EffectFigures
    raised: dict[str, EffectFigures]
    verdict: VerdictFigures


class ArmTotals(TypedDict):
    """The counters of an arm by intention to treat. Money is in minor units, by currency."""

    name: str
    held_out: bool
    recipients: int
    open_recipients: int
    delivered: int
    opened: int
    clicked: int
    givers: int
    raised: dict[str, int]
    credited: dict[str, int]


def describe_effect(effect: Effect, decimals: int) -> EffectFigures:
    lift = effect.lift
    return {
        "difference": describe_estimate(effect.difference, decimals),
        "lift": describe_estimate(lift, RATE_DECIMALS, LEAST_LIFT) if lift else None,
        "caused": describe_estimate(effect.caused, AMOUNT_DECIMALS),
    }


def describe_estimate(estimate: Estimate, decimals: int, least: float | None = None) -> Estimated:
    """Return the figure. An interval from the least possible value has no lower bound."""
    low, high = describe_interval(estimate.interval, decimals)
    low = None if high is None and low == least else low
    return {"value": round(estimate.value, decimals), "low": low, "high": high}


def describe_interval(interval: Interval, decimals: int) -> tuple[float | None, float | None]:
    """Return both ends, rounded; None for an infinite one."""
    low, high = (
        round(end, decimals) if math.isfinite(end) else None
        for end in (interval.low, interval.high)
    )
    return low, high
