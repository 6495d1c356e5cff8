"""Intervals of money per recipient: asymptotic, because gifts have no largest amount.

The normal mixture holds from some number of givers on. A small arm has often not yet seen the large
gifts of its kind, so its own variance is too small. Three rules make up for that:

- The variance of an arm uses the larger mean squared gift of the two arms, and one more giver.
- The mean square is not centered, which makes it larger. For two equal arms, the difference of
  gifts is symmetric, and then the mixture holds at any size and for any tail (de la Pena 1999).
- There is no interval until each arm should have `MIN_GIVERS` by its share of the recipients.
"""

import math
from dataclasses import dataclass
from typing import Self

from documents.experiments.evidence import (
    LOG_RATIO_SPREAD,
    compute_error_factor,
    measure_clock,
)
from documents.experiments.sums import UNBOUNDED, ArmSums, Interval

MIN_GIVERS = 10.0
NO_RATIO = Interval(0.0, math.inf)


@dataclass(frozen=True, slots=True)
class RaisedContrast:
    """Two means in minor units per recipient, their variances, and the factor of the mixture."""

    mean: float
    variance: float
    baseline_mean: float
    baseline_variance: float
    factor: float

    @classmethod
    def of(cls, arm: ArmSums, baseline: ArmSums, alpha: float) -> Self | None:
        """Return the contrast; None if the arms have too few givers."""
        both = arm + baseline
        share = arm.recipients / both.recipients if both.recipients else 0.0
        if both.givers * min(share, 1 - share) < MIN_GIVERS:
            return None
        square = both.raised_squares / both.givers
        clock = measure_clock(both.givers, share)
        return cls(
            arm.raised_per_recipient,
            _compute_variance(arm, square),
            baseline.raised_per_recipient,
            _compute_variance(baseline, square),
            compute_error_factor(clock, alpha),
        )


def bound_raised_per_recipient(arm: ArmSums, alpha: float) -> Interval:
    """Return the interval of an arm's mean in minor units; from 0 to infinity if it is too early.

    A gift that is too rare to occur cannot widen the interval. So the mean of donors with very rare
    and very large gifts can be higher. A difference of arms does not have this limit.
    """
    if arm.givers < MIN_GIVERS:
        return NO_RATIO
    clock = arm.givers * LOG_RATIO_SPREAD**2
    variance = _compute_variance(arm, arm.raised_squares / arm.givers)
    error = compute_error_factor(clock, alpha) * math.sqrt(variance)
    mean = arm.raised_per_recipient
    return Interval(max(0.0, mean - error), mean + error)


def bound_raised_difference(arm: ArmSums, baseline: ArmSums, alpha: float) -> Interval:
    """Return the interval of the arm's mean minus the baseline's, in minor units per recipient."""
    contrast = RaisedContrast.of(arm, baseline, alpha)
    if contrast is None:
        return UNBOUNDED
    error = contrast.factor * math.sqrt(contrast.variance + contrast.baseline_variance)
    return Interval(-error, error).shift(contrast.mean - contrast.baseline_mean)


def bound_raised_ratio(arm: ArmSums, baseline: ArmSums, alpha: float) -> Interval:
    """Return the interval of the arm's mean divided by the baseline's (Fieller 1954).

    It contains one exactly if the interval of the difference contains zero.
    """
    contrast = RaisedContrast.of(arm, baseline, alpha)
    if contrast is None:
        return NO_RATIO
    squared = contrast.factor**2
    lead = contrast.baseline_mean**2 - squared * contrast.baseline_variance
    middle = contrast.mean * contrast.baseline_mean
    rest = contrast.mean**2 - squared * contrast.variance
    root = math.sqrt(max(0.0, middle**2 - lead * rest))
    low = rest / (middle + root) if rest > 0 else 0.0
    return Interval(low, (middle + root) / lead if lead > 0 else math.inf)


def _compute_variance(arm: ArmSums, square: float) -> float:
    """Return the variance of the arm's mean.

    Args:
        square: mean squared gift of both arms, the least that the arm may have.
    """
    own = arm.raised_squares / arm.givers if arm.givers else 0.0
    return (arm.givers + 1) * max(own, square) / arm.recipients**2
