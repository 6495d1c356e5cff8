"""Intervals of response rates: exact at any size, also without a single giver.

The number of givers is compared with a Poisson process. Recipients who give at most once vary less,
so the intervals are slightly wide for rates above 10 %. The interval of the ratio of two rates and
every decision about its sign need no approximation. The interval of their difference replaces the
unknown common rate by its most likely value under each hypothesis.
"""

import math

from documents.experiments.e_values import (
    compute_rate_e_value,
    compute_share_mixture,
    find_crossing,
)
from documents.experiments.sums import ANY_RATIO, ArmSums, Interval

MAX_LOG_RATIO = 50.0  # farther than any ratio of two numbers of recipients


def bound_response_rate(arm: ArmSums, alpha: float) -> Interval:
    """Return the interval of an arm's response rate, from 0 to 1."""
    if not arm.recipients:
        return Interval(0.0, 1.0)
    givers, limit = arm.givers, -math.log(alpha)

    def exceed(expected: float) -> float:
        return compute_rate_e_value(givers, expected) - limit

    low = find_crossing(exceed, givers, 0.0)
    high = find_crossing(exceed, givers, max(float(arm.recipients), givers + 1.0))
    return Interval(low / arm.recipients, min(1.0, high / arm.recipients))


def compute_ratio_e_value(arm: ArmSums, baseline: ArmSums, ratio: float) -> float:
    """Return the logarithm of the e-value of a ratio of two response rates."""
    expected = arm.recipients * ratio
    share = expected / (expected + baseline.recipients)
    likelihood = _log_power(arm.givers, share) + _log_power(baseline.givers, 1 - share)
    return _compute_mixture(arm, baseline) - likelihood


def compute_difference_e_value(arm: ArmSums, baseline: ArmSums, difference: float) -> float:
    """Return the logarithm of the e-value of a difference of two response rates.

    At zero, this equals the e-value of a ratio of one, so both intervals always agree on the sign.
    """
    rate = _fit_baseline_rate(arm, baseline, difference)
    givers = arm.givers + baseline.givers
    expected, other_expected = arm.recipients * (rate + difference), baseline.recipients * rate
    likelihood = _log_poisson(arm.givers, expected) + _log_poisson(baseline.givers, other_expected)
    return _compute_mixture(arm, baseline) + _log_poisson(givers, givers) - likelihood


def bound_response_ratio(arm: ArmSums, baseline: ArmSums, alpha: float) -> Interval:
    """Return the interval of the arm's response rate divided by the baseline's."""
    if not arm.recipients or not baseline.recipients or not arm.givers + baseline.givers:
        return ANY_RATIO
    limit, balanced = -math.log(alpha), math.log(baseline.recipients / arm.recipients)

    def exceed(logarithm: float) -> float:
        return compute_ratio_e_value(arm, baseline, math.exp(logarithm)) - limit

    center = _clamp(math.log(arm.givers or 1e-9) - math.log(baseline.givers or 1e-9)) + balanced
    low = find_crossing(exceed, center, -MAX_LOG_RATIO) if arm.givers else -math.inf
    high = find_crossing(exceed, center, MAX_LOG_RATIO) if baseline.givers else math.inf
    return Interval(math.exp(low), math.exp(high))


def bound_response_difference(arm: ArmSums, baseline: ArmSums, alpha: float) -> Interval:
    """Return the interval of the arm's response rate minus the baseline's, from -1 to 1."""
    if not arm.recipients or not baseline.recipients:
        return Interval(-1.0, 1.0)
    limit, center = -math.log(alpha), arm.response_rate - baseline.response_rate

    def exceed(difference: float) -> float:
        return compute_difference_e_value(arm, baseline, difference) - limit

    return Interval(find_crossing(exceed, center, -1.0), find_crossing(exceed, center, 1.0))


def _compute_mixture(arm: ArmSums, baseline: ArmSums) -> float:
    share = arm.recipients / (arm.recipients + baseline.recipients)
    return compute_share_mixture(arm.givers, baseline.givers, share)


def _fit_baseline_rate(arm: ArmSums, baseline: ArmSums, difference: float) -> float:
    """Return the baseline's most likely rate if the arm's rate is higher by the difference."""
    recipients, givers = arm.recipients + baseline.recipients, arm.givers + baseline.givers
    linear = givers - recipients * difference
    square = linear**2 + 4 * recipients * baseline.givers * difference
    return max((linear + math.sqrt(max(0.0, square))) / (2 * recipients), -difference, 0.0)


def _log_poisson(count: float, expected: float) -> float:
    """Return the log-likelihood, without the term that no hypothesis changes."""
    return _log_power(count, expected) - expected


def _log_power(count: float, base: float) -> float:
    if not count:
        return 0.0
    return count * math.log(base) if base > 0 else -math.inf


def _clamp(logarithm: float) -> float:
    return max(-MAX_LOG_RATIO / 2, min(MAX_LOG_RATIO / 2, logarithm))
