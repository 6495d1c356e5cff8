"""Intervals of money per recipient, with heavy tails."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.experiments.raised import (
    MIN_EFFECTIVE_GIVERS,
    MIN_GIVERS,
    bound_raised_difference,
    bound_raised_per_recipient,
    bound_raised_ratio,
)
from documents.experiments.sums import ANY_RATIO, UNBOUNDED, ArmSums

ALPHA = 0.05
FIFTY_DOLLARS, MILLION_DOLLARS = 5_000, 100_000_000


def give_fifty(recipients: int, givers: int) -> ArmSums:
    """Return the sums of an arm whose givers each give 50 dollars."""
    return ArmSums(recipients, givers, givers * FIFTY_DOLLARS, givers * FIFTY_DOLLARS**2)


def give_large(givers: int, times: int) -> ArmSums:
    """Return what givers add to an arm who each give so many times 50 dollars."""
    amount = times * FIFTY_DOLLARS
    return ArmSums(0, givers, givers * amount, givers * amount**2)


def test_equal_gifts_have_nearly_the_interval_of_the_rate() -> None:
    arm, holdout = give_fifty(10_000, 300), give_fifty(10_000, 150)
    difference = bound_raised_difference(arm, holdout, ALPHA)
    ratio = bound_raised_ratio(arm, holdout, ALPHA)
    assert 35 < difference.low < 75 < difference.high < 115
    assert 1.3 < ratio.low < 2 < ratio.high < 3


def test_a_millionaire_decides_nothing() -> None:
    millionaire = ArmSums(0, 1, MILLION_DOLLARS, MILLION_DOLLARS**2)
    arm, holdout = give_fifty(10_000, 200), give_fifty(10_000, 200)
    assert bound_raised_difference(arm + millionaire, holdout, ALPHA).sign == 0
    assert bound_raised_difference(arm, holdout + millionaire, ALPHA).sign == 0
    assert bound_raised_per_recipient(arm + millionaire, ALPHA) == ANY_RATIO


def test_a_small_holdout_takes_its_variance_from_the_large_arm() -> None:
    """A holdout that has not seen a large gift yet must not look precise."""
    arm, holdout = give_fifty(19_000, 380), give_fifty(1_000, 20)
    plain = bound_raised_difference(give_fifty(19_000, 385), holdout, ALPHA)
    heavy = bound_raised_difference(arm + give_large(5, 20), holdout, ALPHA)
    assert math.inf > heavy.high - heavy.low > 2 * (plain.high - plain.low)
    heavier = bound_raised_difference(arm + give_large(5, 100), holdout, ALPHA)
    assert heavier.high - heavier.low > 5 * (plain.high - plain.low)


def test_money_has_no_limits_while_few_gifts_dominate_it() -> None:
    many, few = give_fifty(10_000, 200), give_large(5, 100)
    assert bound_raised_difference(many + few, many, ALPHA) == UNBOUNDED
    assert bound_raised_ratio(many + few, many, ALPHA) == ANY_RATIO
    assert bound_raised_per_recipient(many + few, ALPHA) == ANY_RATIO
    assert bound_raised_per_recipient(many, ALPHA).high < math.inf


def test_unequal_gifts_need_more_givers_than_equal_ones() -> None:
    enough = int(MIN_EFFECTIVE_GIVERS)
    assert bound_raised_per_recipient(give_fifty(1_000, enough - 1), ALPHA) == ANY_RATIO
    assert bound_raised_per_recipient(give_fifty(1_000, 2 * enough), ALPHA).high < math.inf
    unequal = give_fifty(1_000, 56) + give_large(4, 10)  # 60 givers
    assert bound_raised_per_recipient(unequal, ALPHA) == ANY_RATIO


def test_it_is_too_early_until_each_arm_should_have_some_givers() -> None:
    early, holdout = give_fifty(1_900, 150), give_fifty(100, 40)
    assert bound_raised_difference(early, holdout, ALPHA) == UNBOUNDED
    assert bound_raised_ratio(early, holdout, ALPHA) == ANY_RATIO
    assert bound_raised_per_recipient(give_fifty(100, int(MIN_GIVERS) - 1), ALPHA) == ANY_RATIO
    assert bound_raised_per_recipient(ArmSums(0, 0), ALPHA) == ANY_RATIO
    assert bound_raised_difference(ArmSums(0, 0), ArmSums(0, 0), ALPHA) == UNBOUNDED


def test_a_holdout_without_givers_still_counts() -> None:
    assert bound_raised_difference(give_fifty(5_000, 90), ArmSums(5_000, 0), ALPHA).low > 0


def test_sums_larger_than_64_bits_are_exact() -> None:
    """Ten thousand gifts of the largest amount have squares beyond a 64-bit counter."""
    amount = 10**12
    arm = ArmSums(10**6, 10_000, 10_000 * amount, 10_000 * amount**2)
    baseline = ArmSums(10**6, 5_000, 5_000 * amount, 5_000 * amount**2)
    assert arm.raised_squares > 2**63
    difference = bound_raised_difference(arm, baseline, ALPHA)
    assert difference.sign == 1
    assert difference.low == pytest.approx(4.4e9, rel=0.05)


@given(st.integers(1_000, 9_000), st.integers(0, 400), st.integers(0, 400))
def test_difference_and_ratio_agree_on_the_sign(size: int, some: int, others: int) -> None:
    arm, baseline = give_fifty(size, some), give_fifty(10_000 - size, others)
    difference = bound_raised_difference(arm, baseline, ALPHA)
    ratio = bound_raised_ratio(arm, baseline, ALPHA)
    assert difference.sign == ratio.shift(-1.0).sign
    assert ratio.low >= 0


@given(st.integers(0, 400), st.integers(1, 10**6))
def test_the_interval_of_an_arm_contains_its_mean(givers: int, factor: int) -> None:
    arm = give_fifty(10_000, givers)
    scaled = ArmSums(arm.recipients, givers, arm.raised * factor, arm.raised_squares * factor**2)
    interval = bound_raised_per_recipient(scaled, ALPHA)
    assert interval.contains(scaled.raised_per_recipient)
    assert math.isinf(interval.high) == math.isinf(bound_raised_per_recipient(arm, ALPHA).high)
