"""The figures of an experiment: each arm, and each arm beside the baseline.

The baseline is the holdout, or the first arm without one. The intervals of arms hold with 95 %
each. The intervals of all comparisons hold together with 95 %, because they share the error equally
(Bonferroni). A better correction would need assumptions about how the arms depend on each other.

The values are unbiased at every planned reading. A value that is read because it just became
decisive is too large on average; its interval is still valid.
"""

from dataclasses import dataclass

from documents.experiments.raised import (
    bound_raised_difference,
    bound_raised_per_recipient,
    bound_raised_ratio,
)
from documents.experiments.response import (
    bound_response_difference,
    bound_response_rate,
    bound_response_ratio,
)
from documents.experiments.sums import ArmSums, Estimate, Interval

ERROR_PROBABILITY = 0.05  # 95 % intervals


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """An arm's response rate, from 0 to 1, and its money per recipient, in minor units."""

    response_rate: Estimate
    raised_per_recipient: Estimate


@dataclass(frozen=True, slots=True)
class Effect:
    """A figure of an arm minus that of the baseline, and the relative lift.

    Attributes:
        difference: in the unit of the figure.
        lift: 0.25 is a quarter more than the baseline; None if the baseline's figure is zero.
        caused: the difference times the recipients of the arm: givers, or minor units.
    """

    difference: Estimate
    lift: Estimate | None
    caused: Estimate


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm beside the baseline, in one currency."""

    response: Effect
    raised: Effect


def describe_arm(arm: ArmSums) -> ArmFigures:
    rate, raised = arm.response_rate, arm.raised_per_recipient
    return ArmFigures(
        Estimate(rate, bound_response_rate(arm, ERROR_PROBABILITY)),
        Estimate(raised, bound_raised_per_recipient(arm, ERROR_PROBABILITY)),
    )


def count_questions(arms: int, currencies: int = 1) -> int:
    """Return the number of comparisons that share the error: response and each currency."""
    return count_intervals(arms - 1, currencies)


def count_intervals(comparisons: int, currencies: int = 1) -> int:
    """Return the number of intervals of this many comparisons of an arm with a baseline."""
    return max(1, comparisons) * (1 + currencies)


def compare_arms(arm: ArmSums, baseline: ArmSums, questions: int) -> Comparison:
    """Compare an arm with the baseline.

    Args:
        questions: number of comparisons in the whole report, from `count_questions`.
    """
    return Comparison(
        compare_response(arm, baseline, questions), compare_raised(arm, baseline, questions)
    )


def compare_response(arm: ArmSums, baseline: ArmSums, questions: int) -> Effect:
    """Compare response rates. The givers may have given in any currency."""
    alpha = ERROR_PROBABILITY / questions
    return _build_effect(
        arm,
        (arm.response_rate, baseline.response_rate),
        bound_response_difference(arm, baseline, alpha),
        bound_response_ratio(arm, baseline, alpha),
    )


def compare_raised(arm: ArmSums, baseline: ArmSums, questions: int) -> Effect:
    """Compare money per recipient. All sums are in one currency."""
    alpha = ERROR_PROBABILITY / questions
    return _build_effect(
        arm,
        (arm.raised_per_recipient, baseline.raised_per_recipient),
        bound_raised_difference(arm, baseline, alpha),
        bound_raised_ratio(arm, baseline, alpha),
    )


def _build_effect(
    arm: ArmSums, means: tuple[float, float], difference: Interval, ratio: Interval
) -> Effect:
    mean, baseline_mean = means
    distance = mean - baseline_mean
    lift = Estimate(distance / baseline_mean, ratio.shift(-1.0)) if baseline_mean else None
    caused = Estimate(distance * arm.recipients, difference.scale(arm.recipients))
    return Effect(Estimate(distance, difference), lift, caused)
