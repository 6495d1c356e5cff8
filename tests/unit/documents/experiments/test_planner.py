"""Recipients that a plan needs. `test_simulation.py` checks the power."""

import pytest

from documents.experiments.planner import (
    Design,
    GiftSizes,
    plan_raised,
    plan_response,
)

HALF = Design((1, 1), questions=2)
FIFTY_DOLLARS = GiftSizes(5_000, 0)


def test_a_plan_needs_more_than_a_test_that_is_read_once() -> None:
    """The usual formula, (1.96 + 0.84)**2 * 2 * p / d**2, gives 3,920 recipients in each arm."""
    plan = plan_response(0.02, 0.01, HALF)
    assert plan.recipients[0] == plan.recipients[1]
    assert 2 * 3_920 < plan.total < 3 * 2 * 3_920


def test_recipients_follow_the_weights() -> None:
    plan = plan_response(0.02, 0.01, Design((1, 9), questions=2))
    assert plan.recipients[1] == pytest.approx(9 * plan.recipients[0], abs=9)
    assert plan.total > 2 * plan_response(0.02, 0.01, HALF).total


def test_smaller_effects_more_arms_and_more_power_need_more_recipients() -> None:
    some = plan_response(0.02, 0.01, HALF).total
    assert plan_response(0.02, 0.005, HALF).total > 3 * some
    assert plan_response(0.02, 0.01, Design((1, 1, 1, 1), questions=6)).total > 2 * some
    assert plan_response(0.02, 0.01, Design((1, 1), questions=2, power=0.95)).total > some


def test_the_smallest_arm_decides() -> None:
    uneven = plan_response(0.02, 0.01, Design((2, 7, 1), questions=4))
    assert uneven.total == pytest.approx(
        plan_response(0.02, 0.01, Design((2, 1), questions=4)).total * 10 / 3, rel=0.02
    )


def test_a_loss_can_be_planned() -> None:
    assert plan_response(0.02, -0.01, HALF).total < plan_response(0.02, 0.01, HALF).total


def test_spread_gifts_need_more_recipients() -> None:
    equal = plan_raised(0.02, FIFTY_DOLLARS, 0.5, HALF).total
    spread = plan_raised(0.02, GiftSizes(5_000, 10_000), 0.5, HALF).total
    assert equal == pytest.approx(plan_response(0.02, 0.01, HALF).total, rel=0.1)
    assert spread == pytest.approx(5 * equal, rel=0.1)


@pytest.mark.parametrize(("rate", "difference"), [(0.0, 0.01), (1.0, -0.1), (0.5, 0.6), (0.1, 0.0)])
def test_impossible_effects_are_rejected(rate: float, difference: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        plan_response(rate, difference, HALF)


def test_an_effect_that_no_experiment_can_show_is_rejected() -> None:
    with pytest.raises(ValueError, match="too small"):
        plan_response(0.02, 1e-9, HALF)
