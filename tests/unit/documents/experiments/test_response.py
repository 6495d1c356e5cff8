"""Intervals of response rates, from large mailings to a single recipient."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.experiments.e_values import compute_rate_e_value
from documents.experiments.response import (
    bound_response_difference,
    bound_response_rate,
    bound_response_ratio,
    compute_difference_e_value,
    compute_ratio_e_value,
)
from documents.experiments.sums import ArmSums, Interval

ALPHA = 0.05


def arms() -> st.SearchStrategy[ArmSums]:
    """Draw arms of any size, with any number of givers."""
    return st.integers(1, 50_000).flatmap(
        lambda size: st.builds(ArmSums, st.just(size), st.integers(0, size))
    )


def test_a_rate_ends_where_the_e_value_reaches_the_limit() -> None:
    interval = bound_response_rate(ArmSums(5_000, 100), ALPHA)
    for end in (interval.low, interval.high):
        assert compute_rate_e_value(100, 5_000 * end) == pytest.approx(math.log(20))
    assert 0.014 < interval.low < 0.02 < interval.high < 0.027


def test_no_givers_bound_the_rate_from_above_only() -> None:
    interval = bound_response_rate(ArmSums(1_000, 0), ALPHA)
    assert interval.low == 0
    assert compute_rate_e_value(0, 1_000 * interval.high) == pytest.approx(math.log(20))


def test_no_recipients_bound_nothing() -> None:
    nobody, somebody = ArmSums(0, 0), ArmSums(100, 5)
    assert bound_response_rate(nobody, ALPHA) == Interval(0.0, 1.0)
    assert bound_response_difference(nobody, somebody, ALPHA) == Interval(-1.0, 1.0)
    assert bound_response_ratio(somebody, nobody, ALPHA) == Interval(0.0, math.inf)


def test_two_thirds_more_givers_are_seen() -> None:
    arm, holdout = ArmSums(10_000, 250), ArmSums(10_000, 150)
    difference = bound_response_difference(arm, holdout, ALPHA)
    ratio = bound_response_ratio(arm, holdout, ALPHA)
    assert 0.003 < difference.low < 0.01 < difference.high < 0.017
    assert 1.1 < ratio.low < 250 / 150 < ratio.high < 2.4


def test_a_holdout_without_givers_is_evidence_for_the_mailing() -> None:
    arm, holdout = ArmSums(5_000, 60), ArmSums(5_000, 0)
    assert bound_response_difference(arm, holdout, ALPHA).low > 0
    assert bound_response_ratio(arm, holdout, ALPHA).high == math.inf
    assert bound_response_ratio(holdout, arm, ALPHA).low == 0


@given(arms(), arms())
def test_difference_and_ratio_agree_on_the_sign(arm: ArmSums, baseline: ArmSums) -> None:
    zero = compute_difference_e_value(arm, baseline, 0.0)
    assert zero == pytest.approx(compute_ratio_e_value(arm, baseline, 1.0), rel=1e-6, abs=1e-6)
    if abs(zero + math.log(ALPHA)) > 1e-3:
        difference = bound_response_difference(arm, baseline, ALPHA)
        assert difference.sign == bound_response_ratio(arm, baseline, ALPHA).shift(-1.0).sign


@given(arms(), arms())
def test_intervals_contain_what_was_seen(arm: ArmSums, baseline: ArmSums) -> None:
    assert bound_response_rate(arm, ALPHA).contains(arm.response_rate)
    seen = arm.response_rate - baseline.response_rate
    assert bound_response_difference(arm, baseline, ALPHA).contains(seen)
    if baseline.givers:
        ratio = arm.response_rate / baseline.response_rate
        assert bound_response_ratio(arm, baseline, ALPHA).contains(ratio)


@given(arms(), arms())
def test_exchanged_arms_have_the_opposite_difference(arm: ArmSums, baseline: ArmSums) -> None:
    forward = bound_response_difference(arm, baseline, ALPHA)
    backward = bound_response_difference(baseline, arm, ALPHA)
    assert forward.low == pytest.approx(-backward.high, rel=1e-6, abs=1e-9)
    assert forward.high == pytest.approx(-backward.low, rel=1e-6, abs=1e-9)


def test_more_questions_make_wider_intervals() -> None:
    arm, baseline = ArmSums(10_000, 250), ArmSums(10_000, 150)
    one = bound_response_difference(arm, baseline, ALPHA)
    six = bound_response_difference(arm, baseline, ALPHA / 6)
    assert six.low < one.low < one.high < six.high
