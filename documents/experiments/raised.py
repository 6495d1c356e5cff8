"""Intervals of money per recipient: asymptotic, because gifts have no largest amount.

The normal mixture holds from some number of givers on. A small arm often has not seen the large
gifts of its kind, so its own variance is too small. These rules make up for that:

- The variance of an arm uses the larger mean squared gift of the two arms, and one more giver.
- The mean square is not centered, which makes it larger. Without an effect, the difference of two
  equally large arms is symmetric. The mean square bounds such sums for any tail (de la Peña 1999,
  A general class of exponential inequalities for martingales and ratios).
- There is no interval until each arm should have `MIN_GIVERS` by its share of the recipients, and
  until the arms have enough effective givers. Few gifts that dominate the sum show that larger
  ones of their kind are still missing.
- The error of a single mean is relative. Its upper end applies it to the upper end itself, because
  a higher mean has a higher error.

`python -m tools.bench.experiments` shows when the intervals hold. They do for lognormal gifts with
a spread of at most 2.5 and for Pareto gifts with a finite variance.
"""

import math
from dataclasses import dataclass
from typing import Self

from documents.experiments.e_values import (
    LOG_RATIO_SPREAD,
    compute_clock,
    compute_error_factor,
)
from documents.experiments.sums import ANY_RATIO, UNBOUNDED, ArmSums, Interval

MIN_GIVERS = 10.0
MIN_EFFECTIVE_GIVERS = 30.0  # of equal gifts; unequal gifts need more


@dataclass(frozen=True, slots=True)
class RaisedContrast:
    """Two means in minor units per recipient, their variances, and the factor of the mixture."""

    mean: float
    variance: float
    baseline_mean: float
    baseline_variance: float
    factor: float

    @classmethod
    def between(cls, arm: ArmSums, baseline: ArmSums, alpha: float) -> Self | None:
        """Return the contrast; None if an arm has too few givers."""
        both = arm + baseline
        share = arm.recipients / both.recipients if both.recipients else 0.0
        if both.givers * min(share, 1 - share) < MIN_GIVERS or not _has_typical_gifts(both):
            return None
        square = both.raised_squares / both.givers
        return cls(
            mean=arm.raised_per_recipient,
            variance=_compute_variance(arm, square),
            baseline_mean=baseline.raised_per_recipient,
            baseline_variance=_compute_variance(baseline, square),
            factor=compute_error_factor(compute_clock(both.givers, share), alpha),
        )

    @property
    def difference(self) -> float:
        return self.mean - self.baseline_mean

    @property
    def standard_error(self) -> float:
        """The standard error of the difference, in minor units per recipient."""
        return math.sqrt(self.variance + self.baseline_variance)


def bound_raised_per_recipient(arm: ArmSums, alpha: float) -> Interval:
    """Return the interval of an arm's mean, in minor units.

    Gifts that are too rare to occur cannot widen the interval. So the mean of all possible donors
    can be higher if very few of them give very much. A difference of arms has no such limit.
    """
    if not _has_typical_gifts(arm):
        return ANY_RATIO
    variance = _compute_variance(arm, arm.raised_squares / arm.givers)
    factor = compute_error_factor(arm.givers * LOG_RATIO_SPREAD**2, alpha)
    mean = arm.raised_per_recipient
    rest = 1 - factor * math.sqrt(variance) / mean
    return Interval(mean * rest, mean / rest) if rest > 0 else ANY_RATIO


def bound_raised_difference(arm: ArmSums, baseline: ArmSums, alpha: float) -> Interval:
    """Return the interval of the arm's mean minus the baseline's, in minor units per recipient."""
    contrast = RaisedContrast.between(arm, baseline, alpha)
    if contrast is None:
        return UNBOUNDED
    error = contrast.factor * contrast.standard_error
    return Interval(contrast.difference - error, contrast.difference + error)


def bound_raised_ratio(arm: ArmSums, baseline: ArmSums, alpha: float) -> Interval:
    """Return the interval of the arm's mean divided by the baseline's (Fieller 1954).

    It contains one exactly if the interval of the difference contains zero.
    """
    contrast = RaisedContrast.between(arm, baseline, alpha)
    if contrast is None:
        return ANY_RATIO
    squared = contrast.factor**2
    lead = contrast.baseline_mean**2 - squared * contrast.baseline_variance
    middle = contrast.mean * contrast.baseline_mean
    rest = contrast.mean**2 - squared * contrast.variance
    root = math.sqrt(max(0.0, middle**2 - lead * rest))
    low = rest / (middle + root) if rest > 0 else 0.0
    return Interval(low, (middle + root) / lead if lead > 0 else math.inf)


def _has_typical_gifts(arm: ArmSums) -> bool:
    """Return whether enough givers make up the sum: the more, the more unequal their gifts are.

    The effective number of givers (Kish 1965) is that of equal gifts with the same relative error
    of their sum.
    """
    if arm.raised <= 0 or arm.givers <= 0 or arm.raised_squares <= 0:
        return False
    effective = arm.raised**2 / arm.raised_squares
    inequality = max(1.0, arm.givers / effective)
    return effective >= MIN_EFFECTIVE_GIVERS * (1 + math.log(inequality))


def _compute_variance(arm: ArmSums, square: float) -> float:
    """Return the variance of the arm's mean, with at least this mean squared gift."""
    own = arm.raised_squares / arm.givers if arm.givers else 0.0
    return (arm.givers + 1) * max(own, square) / arm.recipients**2
