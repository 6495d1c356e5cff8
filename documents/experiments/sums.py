"""Figures that an experiment reads: exact sums over recipients, and intervals.

An outcome belongs to a recipient, not to a gift. It is the recipient's net total within the window,
whatever email each gift matches. A refund or a late gift changes one outcome from `a` to `b`. The
counters then change by `b - a`, and by `b * b - a * a`.
"""

import math
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class ArmSums:
    """Sums over all recipients of an arm, whether or not their email arrived (intention to treat).

    Attributes:
        recipients: number of recipients, including those who gave nothing.
        givers: number of recipients whose net total in the currency is more than zero.
        raised: sum of the net totals, in minor units of one currency.
        raised_squares: sum of the squared net totals, in squared minor units. A 64-bit integer
            overflows after nine million dollars from 100 people. Keep it in a Decimal128, which is
            exact up to 34 digits, or in two integers.
    """

    recipients: int
    givers: int
    raised: int = 0
    raised_squares: int = 0

    @property
    def response_rate(self) -> float:
        """Share of recipients who gave, from 0 to 1; 0 without recipients."""
        return self.givers / self.recipients if self.recipients else 0.0

    @property
    def raised_per_recipient(self) -> float:
        """Minor units per recipient; 0 without recipients."""
        return self.raised / self.recipients if self.recipients else 0.0

    def __add__(self, other: Self) -> "ArmSums":
        return ArmSums(
            self.recipients + other.recipients,
            self.givers + other.givers,
            self.raised + other.raised,
            self.raised_squares + other.raised_squares,
        )


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval in the unit of its estimate. An infinite end means that the data set no bound."""

    low: float
    high: float

    def contains(self, value: float) -> bool:
        return self.low <= value <= self.high

    def scale(self, factor: float) -> "Interval":
        """Multiply both ends by a factor of at least zero."""
        if not factor:
            return Interval(0.0, 0.0)  # because zero times infinity is not a number
        return Interval(self.low * factor, self.high * factor)

    def shift(self, distance: float) -> "Interval":
        return Interval(self.low + distance, self.high + distance)

    @property
    def sign(self) -> int:
        """1 if the interval is above zero, -1 if it is below, 0 if it contains zero."""
        return (self.low > 0) - (self.high < 0)


UNBOUNDED = Interval(-math.inf, math.inf)
ANY_RATIO = Interval(0.0, math.inf)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its anytime-valid interval. Neither is rounded."""

    value: float
    interval: Interval
