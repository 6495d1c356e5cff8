"""Alice compares her mailing with a holdout, and two subject lines with each other."""

import pytest

from documents.experiments.report import (
    compare_arms,
    compare_raised,
    count_questions,
    describe_arm,
)
from documents.experiments.sums import UNBOUNDED, ArmSums, Interval

FIFTY_DOLLARS = 5_000


def give_fifty(recipients: int, givers: int) -> ArmSums:
    return ArmSums(recipients, givers, givers * FIFTY_DOLLARS, givers * FIFTY_DOLLARS**2)


MAILING, HOLDOUT = give_fifty(18_000, 540), give_fifty(2_000, 30)


def test_an_arm_has_its_figures_with_intervals() -> None:
    figures = describe_arm(MAILING)
    assert figures.response_rate.value == 0.03
    assert figures.raised_per_recipient.value == 150.0
    assert figures.response_rate.interval.contains(0.03)
    assert 100 < figures.raised_per_recipient.interval.low < 150
    assert 150 < figures.raised_per_recipient.interval.high < 200


def test_a_comparison_gives_difference_lift_and_what_the_mailing_caused() -> None:
    comparison = compare_arms(MAILING, HOLDOUT, count_questions(2))
    raised = comparison.raised
    assert raised.difference.value == 75.0
    assert raised.lift is not None
    assert raised.lift.value == pytest.approx(1.0)
    assert raised.caused.value == 75.0 * 18_000
    assert raised.caused.interval == raised.difference.interval.scale(18_000)
    assert comparison.response.caused.value == pytest.approx(0.015 * 18_000)
    assert comparison.response.difference.interval.sign == 1


def test_a_baseline_that_raised_nothing_has_no_lift() -> None:
    effect = compare_raised(MAILING, ArmSums(2_000, 0), 2)
    assert effect.lift is None
    assert effect.difference.value == 150.0


def test_before_anything_is_recorded_nothing_is_known() -> None:
    comparison = compare_arms(ArmSums(0, 0), ArmSums(0, 0), 2)
    assert comparison.raised.difference.interval == UNBOUNDED
    assert comparison.response.difference.interval == Interval(-1.0, 1.0)
    assert comparison.response.lift is None
    assert comparison.response.caused.value == 0


def test_without_recipients_an_unknown_difference_causes_nothing() -> None:
    assert compare_raised(ArmSums(0, 0), HOLDOUT, 2).caused.interval == Interval(0.0, 0.0)


def test_all_comparisons_of_a_report_share_the_error() -> None:
    assert count_questions(2) == 2
    assert count_questions(4) == 6
    assert count_questions(4, currencies=2) == 9
    two = compare_arms(MAILING, HOLDOUT, count_questions(2)).raised.difference.interval
    four = compare_arms(MAILING, HOLDOUT, count_questions(4)).raised.difference.interval
    assert four.low < two.low < two.high < four.high
