"""The result of a comparison, as the parts of one plain sentence."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from documents.experiments.planner import MAX_RECIPIENTS, Design, plan_response
from documents.experiments.report import Comparison
from documents.experiments.sums import ArmSums, Interval

SMALLEST_DIFFERENCE = 0.01  # one point of the response rate


class VerdictKind(StrEnum):
    """The result so far.

    - `not_started`: "Not started: each arm needs recipients."
    - `too_early`: "Too early: about `more_recipients` more recipients are needed to see a
      difference of `smallest_difference`." If `open_recipients` is not zero, they can still give.
    - `caused`: "The mailing caused between `interval.low` and `interval.high` of the `credited`
      credited to it."
    - `against`: as `caused`, but the interval is below zero.
    - `no_difference`: "No difference larger than `largest_difference` can be seen."
    """

    NOT_STARTED = "not_started"
    TOO_EARLY = "too_early"
    CAUSED = "caused"
    AGAINST = "against"
    NO_DIFFERENCE = "no_difference"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict and the numbers of its sentence. Numbers that it does not need are None.

    Attributes:
        figure: the figure that decided. None if neither did.
        interval: of what the arm caused: minor units for `raised`, givers for `response`.
        credited: matched sum of the arm, in minor units.
        more_recipients: of all arms together.
        open_recipients: recipients whose window has not ended.
        largest_difference: of the response rates, from 0 to 1.
    """

    kind: VerdictKind
    smallest_difference: float
    figure: Literal["raised", "response"] | None = None
    interval: Interval | None = None
    credited: int | None = None
    more_recipients: int | None = None
    open_recipients: int | None = None
    largest_difference: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """The facts that a verdict needs besides the comparison.

    Attributes:
        arm: sums of the arm.
        baseline: sums of the baseline.
        design: weights and questions of the experiment.
        recipients: of all arms together.
        open_recipients: recipients whose window has not ended, so that they can still give.
        credited: matched sum of the arm, in minor units.
        smallest_difference: smallest interesting difference of response rates.
    """

    arm: ArmSums
    baseline: ArmSums
    design: Design
    recipients: int
    open_recipients: int = 0
    credited: int = 0
    smallest_difference: float = SMALLEST_DIFFERENCE


def judge(comparison: Comparison, standing: Standing) -> Verdict:
    """Return the verdict. Money decides if it can, because a mailing can gain small gifts only."""
    if not standing.arm.recipients or not standing.baseline.recipients:
        return Verdict(VerdictKind.NOT_STARTED, standing.smallest_difference)
    if comparison.raised.difference.interval.sign:
        return _decide(comparison, standing, "raised")
    if comparison.response.difference.interval.sign:
        return _decide(comparison, standing, "response")
    smallest, largest = standing.smallest_difference, _find_largest(comparison)
    more = 0 if largest <= smallest else _count_missing(standing)
    if standing.open_recipients or more:
        return Verdict(
            VerdictKind.TOO_EARLY,
            smallest,
            more_recipients=more,
            open_recipients=standing.open_recipients,
        )
    return Verdict(VerdictKind.NO_DIFFERENCE, smallest, largest_difference=largest)


def _decide(
    comparison: Comparison, standing: Standing, figure: Literal["raised", "response"]
) -> Verdict:
    effect = comparison.raised if figure == "raised" else comparison.response
    interval = effect.caused.interval
    kind = VerdictKind.CAUSED if interval.sign > 0 else VerdictKind.AGAINST
    return Verdict(
        kind,
        standing.smallest_difference,
        figure=figure,
        interval=interval,
        credited=standing.credited,
        open_recipients=standing.open_recipients,
    )


def _find_largest(comparison: Comparison) -> float:
    interval = comparison.response.difference.interval
    return max(-interval.low, interval.high)


def _count_missing(standing: Standing) -> int:
    """Return how many more recipients are needed, planned with the response rate of both arms."""
    both = standing.arm + standing.baseline
    # One more giver and one who does not give, so that the rate is neither 0 nor 1.
    rate = (both.givers + 1) / (both.recipients + 2)
    smallest = standing.smallest_difference
    difference = smallest if rate + smallest <= 1 else -smallest
    try:
        needed = plan_response(rate, difference, standing.design).total
    except ValueError:
        needed = MAX_RECIPIENTS
    return max(0, needed - standing.recipients)
