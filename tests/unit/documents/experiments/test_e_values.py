"""E-values and factors equal those of a published library.

The library is ville 0.1.0 from PyPI with SciPy 1.17. `ville._boundaries.normal_mixture(v, alpha,
v / clock) / sqrt(v)` gave the factors. `ville.proportions.BernoulliTest(p0, prior=(a, b))` gave the
e-values of shares, with `p0 = share * ratio / (share * ratio + 1 - share)`, and `a` and `b` as in
`compute_share_mixture`. `scipy.integrate.quad` over `scipy.stats.gamma` gave the e-values of rates.
"""

import math

import pytest

from documents.experiments.e_values import (
    compute_error_factor,
    compute_rate_e_value,
    find_crossing,
)
from documents.experiments.response import compute_ratio_e_value
from documents.experiments.sums import ArmSums


@pytest.mark.parametrize(
    ("clock", "alpha", "factor"),
    [
        (0.5, 0.05, 4.380729273265861),
        (8, 0.05, 3.0351730206035583),
        (8, 0.025, 3.2820506427018468),
        (300, 0.05 / 6, 3.9157418279061775),
    ],
)
def test_the_normal_mixture_is_that_of_the_library(
    clock: float, alpha: float, factor: float
) -> None:
    assert compute_error_factor(clock, alpha) == pytest.approx(factor, rel=1e-12)


def test_without_information_there_is_no_bound() -> None:
    assert compute_error_factor(0.0, 0.05) == math.inf


@pytest.mark.parametrize(
    ("arm", "baseline", "ratio", "e_value"),
    [
        (ArmSums(5_000, 120), ArmSums(5_000, 80), 1.0, 2.482401833213544),
        (ArmSums(9_500, 190), ArmSums(500, 4), 1.0, 0.8422237955463956),
        (ArmSums(9_500, 190), ArmSums(500, 4), 2.5, -1.4016995289904486),
        (ArmSums(1_000, 0), ArmSums(9_000, 30), 1.0, 0.4356106404575426),
    ],
)
def test_the_beta_mixture_is_that_of_the_library(
    arm: ArmSums, baseline: ArmSums, ratio: float, e_value: float
) -> None:
    assert compute_ratio_e_value(arm, baseline, ratio) == pytest.approx(e_value, abs=1e-9)


@pytest.mark.parametrize(
    ("givers", "expected", "e_value"),
    [
        (0, 3.0, 0.7615368482583094),
        (30, 20.0, 0.754054761002874),
        (120, 180.0, 9.325767958717888),
    ],
)
def test_the_gamma_mixture_is_the_integral(givers: int, expected: float, e_value: float) -> None:
    assert compute_rate_e_value(givers, expected) == pytest.approx(e_value, abs=1e-6)


def test_a_true_rate_has_an_e_value_of_one_on_average() -> None:
    """The e-value of a true hypothesis has mean one, which Ville's inequality requires."""
    expected = 7.0
    mean = sum(
        math.exp(compute_rate_e_value(givers, expected) + _log_poisson(givers, expected))
        for givers in range(400)
    )
    assert mean == pytest.approx(1.0, abs=1e-9)


def test_a_true_share_has_an_e_value_of_one_on_average() -> None:
    recipients, givers = 2_000, 60
    mean = sum(
        math.comb(givers, some)
        * 0.2**some
        * 0.8 ** (givers - some)
        * math.exp(
            compute_ratio_e_value(ArmSums(recipients, some), ArmSums(8_000, givers - some), 1.0)
        )
        for some in range(givers + 1)
    )
    assert mean == pytest.approx(1.0, abs=1e-9)


def test_a_crossing_is_rounded_outwards() -> None:
    assert find_crossing(lambda place: place - 3.0, 0.0, 10.0) == pytest.approx(3.0)
    assert find_crossing(lambda place: -place - 3.0, 0.0, -10.0) == pytest.approx(-3.0)
    assert find_crossing(lambda place: -1.0, 0.0, 10.0) == 10.0


def _log_poisson(count: int, expected: float) -> float:
    return count * math.log(expected) - expected - math.lgamma(count + 1)
