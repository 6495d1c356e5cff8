"""E-values: evidence against a hypothesis that stays valid however often staff read it.

Each e-value compares the data with a hypothesis by a mixture of alternatives. If the hypothesis is
true, its e-value ever reaches `1 / alpha` with a probability of at most `alpha` (Ville 1939). So
the hypotheses with smaller e-values form an interval that is valid at all readings together.

The clock of each mixture is the number of givers, not of recipients. So the intervals hold while
recipients arrive, and also while the gifts to a complete mailing arrive.

Sources:
    Lindon, Kallus: Anytime-Valid Continuous-Time Confidence Processes for Inhomogeneous Poisson
    Processes (2024), arXiv:2410.09282. Gamma mixture for one rate.
    Lindon, Malek: Anytime-Valid Inference for Multinomial Count Data (NeurIPS 2022),
    arXiv:2011.03567. Beta mixture for the share of one arm among the givers of two.
    Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: Time-uniform central limit theory and asymptotic
    confidence sequences (Annals of Statistics 2024), arXiv:2103.06476. Normal mixture for means.
"""

import math
from collections.abc import Callable

# Standard deviation of the mixture for the logarithm of a ratio. Intervals are narrowest for a lift
# of about 40 %, and at most a tenth wider for lifts from 10 to 100 %.
LOG_RATIO_SPREAD = 0.35
RATE_SHAPE = 4.0  # of the Gamma mixture; intervals are narrowest for about 30 givers
BISECTION_STEPS = 60


def compute_rate_e_value(givers: float, expected: float) -> float:
    """Return the logarithm of the e-value of an expected number of givers."""
    shape = RATE_SHAPE
    constant = shape * math.log(shape) - math.lgamma(shape) + math.lgamma(shape + givers)
    return constant - (shape + givers) * math.log(shape + expected) + expected


def compute_share_mixture(givers: float, other_givers: float, share: float) -> float:
    """Return the logarithm of the mixture's likelihood of the givers of two arms.

    Subtract the log-likelihood of a hypothesis to get the logarithm of its e-value.

    Args:
        givers: givers of the arm.
        other_givers: givers of the other arm.
        share: share of the arm among the recipients of both. The mixture is centered on it.
    """
    precision = 1 / (LOG_RATIO_SPREAD**2 * share * (1 - share))
    first, second = precision * share, precision * (1 - share)
    return _log_beta(first + givers, second + other_givers) - _log_beta(first, second)


def compute_error_factor(clock: float, alpha: float) -> float:
    """Return the number of standard errors on each side of a mean (the normal mixture).

    In the paper's terms, `clock` is `t * rho**2`, and the standard error is `sigma / sqrt(t)`.

    Args:
        clock: accumulated information, in units in which the mixture has variance 1.
        alpha: probability that the interval ever misses the mean.
    """
    if clock <= 0:
        return math.inf
    return math.sqrt((1 + 1 / clock) * (math.log1p(clock) - 2 * math.log(alpha)))


def compute_clock(givers: float, share: float) -> float:
    """Return the information about the ratio of two arms, for `compute_error_factor`."""
    return givers * share * (1 - share) * LOG_RATIO_SPREAD**2


def find_crossing(excess: Callable[[float], float], inside: float, outside: float) -> float:
    """Return the place between both where the excess, which rises outwards, crosses zero.

    Round outwards. Return `outside` if the excess is negative there, too.
    """
    if excess(outside) < 0:
        return outside
    for _ in range(BISECTION_STEPS):
        middle = (inside + outside) / 2
        if excess(middle) < 0:
            inside = middle
        else:
            outside = middle
    return outside


def _log_beta(first: float, second: float) -> float:
    return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)
