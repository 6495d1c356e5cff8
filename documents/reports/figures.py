"""Types of the figures in reports. Amounts are in minor units, by currency."""

from datetime import date, datetime
from typing import Literal, TypedDict

from bson import ObjectId

Amounts = dict[str, int]
Ratios = dict[str, float | None]


class Unsettled(TypedDict):
    """Records that are stored but not counted yet.

    Attributes:
        donations: the number of due donations of the fundraiser.
        deliveries: the number of due webhook deliveries of the whole organization.
        oldest_seconds: the age of the oldest due record.
    """

    donations: int
    deliveries: int
    oldest_seconds: float


class MatchClass(TypedDict):
    """The number and sum of gifts with the same kind of match."""

    count: int
    raised: Amounts


class Recurring(TypedDict):
    """The number of plans, the sum of their first gifts, and the sum of all their gifts."""

    plans: int
    first_gift: Amounts
    lifetime: Amounts


class Donations(TypedDict):
    """Counted gifts. `raised` and `average` are net of refunds."""

    count: int
    donors: int
    raised: Amounts
    refunded: Amounts
    average: Amounts
    by_match: dict[str, MatchClass]


class Figures(TypedDict):
    """The results of a fundraiser or a mailing."""

    emails: dict[str, int]
    delivery: dict[str, int]
    machines: dict[str, int]
    unknown_events: int
    donations: Donations
    recurring: Recurring
    rates: Ratios
    giving_rates: Ratios
    raised_per_email: Ratios
    cost_per_unit_raised: Ratios


class MailingLine(Figures):
    """A mailing in a fundraiser's report."""

    id: ObjectId
    name: str
    sent_at: datetime | None


class GiftSum(TypedDict):
    """The number and sum of the gifts in a day or an hour."""

    count: int
    raised: Amounts


class DayLine(GiftSum):
    """A local day with gifts."""

    day: date


class HourLine(GiftSum):
    """A local hour with gifts."""

    hour: datetime


class ByTime(TypedDict):
    """Gifts by local day and hour."""

    time_zone: str
    by_day: list[DayLine]
    by_hour: list[HourLine]


class SegmentGifts(TypedDict):
    """Counted gifts that match an email of a segment."""

    count: int
    raised: Amounts


class SegmentLine(TypedDict):
    """The results of the emails with one value of an attribute.

    Attributes:
        kind: `value`, `other` for values beyond the limit, or `none` for emails without a value.
        value: None unless `kind` is `value`.
        recorded: number of emails, sent or not.
    """

    kind: Literal["value", "other", "none"]
    value: str | None
    recorded: int
    emails: dict[str, int]
    donations: SegmentGifts
    rates: Ratios
    giving_rates: Ratios
    raised_per_email: Ratios


class SegmentTable(TypedDict):
    """The results by the values of an attribute, and the attributes that can be chosen."""

    by: str
    attributes: list[str]
    values: list[SegmentLine]


class DelayClass(TypedDict):
    """The number of gifts with a similar time after their email.

    Attributes:
        below_hours: the upper limit; None for the last class.
    """

    below_hours: int | None
    count: int


class Delays(TypedDict):
    """Gifts by time after their email, without later instalments.

    Attributes:
        before_email: gifts before their email was sent.
        within_48_hours: the share of gifts; None without gifts.
    """

    classes: list[DelayClass]
    before_email: int
    within_48_hours: float | None


class RuleSum(TypedDict):
    """The credited sum of a mailing under one rule."""

    window_days: int
    touch: Literal["first", "last"]
    raised: Amounts
    is_present: bool


class Sensitivity(TypedDict):
    """How much of a mailing's credited sum depends on the rules, at an earlier time.

    Attributes:
        credited: the sum by the stored matches.
        lowest, highest: the range of the rules' sums.
    """

    computed_at: datetime
    credited: Amounts
    lowest: Amounts
    highest: Amounts
    rules: list[RuleSum]


class ReportFigures(Figures, ByTime):
    """The figures of a fundraiser or a mailing, and of a fundraiser's latest mailings.

    Attributes:
        more_mailings: whether the fundraiser has earlier mailings that `mailings` does not list.
    """

    as_of: datetime
    hours_to_gift: Delays
    mailings: list[MailingLine]
    more_mailings: bool


class Report(ReportFigures):
    """A report on a fundraiser or a mailing."""

    unsettled: Unsettled
    unmatched_events: dict[str, int]
    segments: SegmentTable | None
    sensitivity: Sensitivity | None


class PastReport(ReportFigures):
    """A report as it stood at an earlier time, at which other records are not known."""

    unsettled: None
    unmatched_events: None
    segments: None
    sensitivity: None
