"""Recipients that an experiment needs to show its smallest interesting effect.

The plan uses the anytime-valid intervals, which need about two to three times the recipients of a
test that is read once. It requires the expected data to exceed the interval's limit by a margin, so
that random data exceed it with the given power. Readings before the last one add a little power.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from documents.experiments.raised import RaisedContrast
from documents.experiments.report import ERROR_PROBABILITY
from documents.experiments.response import compute_difference_e_value
from documents.experiments.sums import ArmSums

DEFAULT_POWER = 0.8
MAX_RECIPIENTS = 10**10


@dataclass(frozen=True, slots=True)
class Design:
    """How recipients are divided, and what the plan must achieve.

    Attributes:
        weights: relative sizes of the arms; the first is the baseline.
        questions: number of comparisons in the report, from `count_questions`.
        power: probability to see the effect.
    """

    weights: Sequence[float]
    questions: int
    power: float = DEFAULT_POWER

    @property
    def alpha(self) -> float:
        return ERROR_PROBABILITY / self.questions

    @property
    def margin(self) -> float:
        """Standard errors between the expected data and the interval's limit."""
        return NormalDist().inv_cdf(self.power)

    @property
    def smallest_arm(self) -> tuple[float, float]:
        """Shares of the smallest arm and the baseline, whose comparison needs most recipients."""
        total = sum(self.weights)
        return min(self.weights[1:]) / total, self.weights[0] / total


@dataclass(frozen=True, slots=True)
class GiftSizes:
    """Mean and standard deviation of the gifts of a giver, in minor units."""

    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class SampleSize:
    """Recipients of each arm, in the order of the weights."""

    recipients: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.recipients)


def plan_response(rate: float, difference: float, design: Design) -> SampleSize:
    """Return the recipients needed to see a difference of response rates.

    Args:
        rate: the baseline's expected response rate, from 0 to 1.
        difference: smallest interesting difference, such as 0.01 for one point. For a relative
            effect, pass the rate times the lift.

    Raises:
        ValueError: a rate is not between 0 and 1, the difference is zero, or the plan is too large.
    """
    _check_rates(rate, difference)

    def is_enough(total: int) -> bool:
        arm, baseline = _expect_sums(total, design, rate, difference, GiftSizes(0.0, 0.0))
        if not arm.givers + baseline.givers:
            return False
        seen = arm.response_rate - baseline.response_rate
        cost = -compute_difference_e_value(arm, baseline, seen)
        unseen = compute_difference_e_value(arm, baseline, 0.0)
        limit = math.sqrt(2 * max(0.0, cost - math.log(design.alpha)))
        return math.sqrt(2 * max(0.0, unseen + cost)) >= limit + design.margin

    return _divide(_find_smallest(is_enough), design)


def plan_raised(rate: float, gifts: GiftSizes, lift: float, design: Design) -> SampleSize:
    """Return the recipients needed to see a relative lift of the money per recipient.

    Args:
        rate: the baseline's expected response rate, from 0 to 1.
        gifts: sizes of gifts, the same in each arm. The lift is in the number of givers.
        lift: smallest interesting lift, such as 0.25 for a quarter more.

    Raises:
        ValueError: a rate is not between 0 and 1, the lift is zero, or the plan is too large.
    """
    _check_rates(rate, rate * lift)

    def is_enough(total: int) -> bool:
        arm, baseline = _expect_sums(total, design, rate, rate * lift, gifts)
        contrast = RaisedContrast.between(arm, baseline, design.alpha)
        if contrast is None:
            return False
        distance = abs(contrast.difference) / contrast.standard_error
        return distance >= contrast.factor + design.margin

    return _divide(_find_smallest(is_enough), design)


def _check_rates(rate: float, difference: float) -> None:
    if not 0 < rate < 1 or not 0 <= rate + difference <= 1 or not difference:
        raise ValueError("Rates must be between 0 and 1, and the effect must not be zero.")


def _expect_sums(
    total: int, design: Design, rate: float, difference: float, gifts: GiftSizes
) -> tuple[ArmSums, ArmSums]:
    share, baseline_share = design.smallest_arm
    return (
        _expect_arm(total * share, rate + difference, gifts),
        _expect_arm(total * baseline_share, rate, gifts),
    )


def _expect_arm(recipients: float, rate: float, gifts: GiftSizes) -> ArmSums:
    givers = recipients * rate
    square = gifts.mean**2 + gifts.deviation**2
    return ArmSums(
        max(1, round(recipients)),
        round(givers),
        round(givers * gifts.mean),
        round(givers * square),
    )


def _find_smallest(is_enough: Callable[[int], bool]) -> int:
    """Return the smallest number that is enough, if every larger number is enough, too."""
    high = 1
    while not is_enough(high):
        high *= 2
        if high > MAX_RECIPIENTS:
            raise ValueError("The effect is too small: no experiment can have enough recipients.")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _divide(total: int, design: Design) -> SampleSize:
    whole = sum(design.weights)
    return SampleSize(tuple(math.ceil(total * weight / whole) for weight in design.weights))
