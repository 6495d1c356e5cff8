"""Reports and changes of gifts in the API's responses as types.

Times are strings, RFC 3339 in UTC, and days are strings such as 2026-11-23. Money is in minor
units, by currency. Rates are from 0 to 1, or None if the denominator is zero.
"""

from typing import Any, Literal, TypedDict

from matchback.records import Match, Totals

Rates = dict[str, float | None]
GiftChangeKind = Literal["new", "deleted", "refunded", "status", "pinned", "matched_again"]


class GiftTotals(TypedDict):
    """The number and amount of the gifts that count, net of refunds."""

    count: int
    raised: Totals


class DonationFigures(GiftTotals):
    donors: int
    refunded: Totals
    average: Totals
    by_match: dict[Match, GiftTotals]


class RecurringFigures(TypedDict):
    plans: int
    first_gift: Totals
    lifetime: Totals


class Figures(TypedDict):
    """The results of a fundraiser or a mailing."""

    emails: dict[str, int]
    delivery: dict[str, int]
    machines: dict[str, int]
    unknown_events: int
    donations: DonationFigures
    recurring: RecurringFigures
    rates: Rates
    giving_rates: Rates
    raised_per_email: dict[str, float]
    cost_per_unit_raised: dict[str, float]


class MailingLine(Figures):
    id: str
    name: str
    sent_at: str | None


class DayLine(GiftTotals):
    """A day with gifts, in the organization's time zone."""

    day: str


class HourLine(GiftTotals):
    """An hour with gifts. `hour` is its beginning with its UTC offset."""

    hour: str


class DelayClass(TypedDict):
    """Gifts below a number of hours after their email; None for the last class."""

    below_hours: int | None
    count: int


class Delays(TypedDict):
    """Gifts by hours after their email."""

    classes: list[DelayClass]
    before_email: int
    within_48_hours: float | None


# `from` and `to` are the first and the last day.
PeriodSum = TypedDict("PeriodSum", {"from": str, "to": str, "count": int, "raised": Totals})


class Period(PeriodSum):
    """The gifts of a period, and of the periods to compare it with."""

    by_day: list[DayLine]
    previous: PeriodSum
    year_before: PeriodSum


class SegmentLine(TypedDict):
    """The results of the emails with one value of an attribute."""

    kind: Literal["value", "other", "none"]
    value: str | None
    recorded: int
    emails: dict[str, int]
    donations: GiftTotals
    rates: Rates
    giving_rates: Rates
    raised_per_email: dict[str, float]


class SegmentTable(TypedDict):
    by: str
    attributes: list[str]
    values: list[SegmentLine]


class RuleSum(TypedDict):
    """The sum that a rule would credit to a mailing. `present` marks the policy's own rule."""

    window_days: int
    touch: Literal["first", "last"]
    raised: Totals
    present: bool


class Sensitivity(TypedDict):
    """The credited sum, and its range under other windows and touches."""

    computed_at: str
    credited: Totals
    lowest: Totals
    highest: Totals
    rules: list[RuleSum]


class Report(Figures):
    """A report. `unsettled` and `unmatched_events` are None in a report of an earlier time."""

    as_of: str
    unsettled: dict[str, Any] | None
    time_zone: str
    by_day: list[DayLine]
    by_hour: list[HourLine]
    hours_to_gift: Delays
    unmatched_events: dict[str, int] | None
    mailings: list[MailingLine]
    more_mailings: bool
    segments: SegmentTable | None
    sensitivity: Sensitivity | None
    period: Period | None


class CountedGift(TypedDict):
    """The part of a gift that a report includes. `amount` is net of refunds."""

    match: Match | None
    email_id: str | None
    mailing_id: str | None
    amount: int


class GiftChange(TypedDict):
    """A change of a gift. `before` or `after` is None if the gift did not count then."""

    id: str
    donation_id: str
    mailing_id: str | None
    at: str
    kinds: list[GiftChangeKind]
    currency: str
    before: CountedGift | None
    after: CountedGift | None
    difference: int
    refunded: int


class KindTotals(GiftTotals):
    """The sum of all changes of a kind. `changes` is their number."""

    changes: int


class Explanation(TypedDict):
    """The totals at two times, and what each kind of change adds.

    `corrections` are repairs of incorrect counters, which no gift explains.
    """

    before: GiftTotals
    after: GiftTotals
    by_kind: dict[GiftChangeKind, KindTotals]
    corrections: GiftTotals
