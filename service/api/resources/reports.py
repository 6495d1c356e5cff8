"""The format of reports. documents/reports/report.py computes their content."""

from datetime import date, datetime
from typing import Annotated, Literal

import falcon
from pydantic import (
    ConfigDict,
    Field,
    PlainSerializer,
)

from documents.reports import figures, periods
from service.api.fields import Id, ResponseModel, Time
from service.api.operation import answer_model

Day = Annotated[date, PlainSerializer(date.isoformat, return_type=str, when_used="json")]
Rate = Annotated[
    float | None, Field(description="Ratio from 0 to 1; null if the denominator is zero.")
]
Amounts = Annotated[dict[str, int], Field(description="Amounts in minor units, by currency.")]


class Unsettled(ResponseModel):
    """Stored records that are not counted yet. `deliveries` covers the whole organization."""

    donations: int
    deliveries: int
    oldest_seconds: float


class EmailFigures(ResponseModel):
    """Emails by status. `opens`, `machine_opens` and `clicks` count events."""

    sent: int
    delivered: int
    bounced: int
    dropped: int
    opened: int
    opens: int
    machine_opens: int
    clicked: int
    clicks: int
    unsubscribed: int
    spam_reported: int
    donated: int


class DeliveryFigures(ResponseModel):
    """Emails that the receiving server deferred, and emails that it blocked (part of `bounced`)."""

    deferred: int
    blocked: int


class MachineFigures(ResponseModel):
    """Events made by machines. They are not part of `opens` and `clicks`."""

    opens: int
    clicks: int


class MatchClass(ResponseModel):
    count: int
    raised: Amounts


class MatchClasses(ResponseModel):
    """Donations by match class.

    `link`: the donation named its email. `address`: the donor's address found it. `pinned`: staff
    chose it. `none`: no email fits, or staff chose none.
    """

    link: MatchClass
    address: MatchClass
    pinned: MatchClass
    none: MatchClass


class RecurringFigures(ResponseModel):
    """Recurring donations, net of refunds.

    `first_gift` is the total of first instalments. `lifetime` is the total of all instalments.
    """

    plans: int
    first_gift: Amounts
    lifetime: Amounts


class DonationFigures(ResponseModel):
    """Donations that count, net of refunds. `donors` counts people."""

    count: int
    donors: int
    raised: Amounts
    refunded: Amounts
    average: Amounts
    by_match: MatchClasses


class Rates(ResponseModel):
    """Rates of engagement by people. Opens and clicks by machines are excluded.

    `delivery` is relative to emails sent. `open`, `click` and `conversion` (emails that led to a
    donation) are relative to emails delivered. `click_to_open` is relative to emails opened.
    """

    delivery: Rate
    open: Rate
    click: Rate
    click_to_open: Rate
    conversion: Rate


class GivingRates(ResponseModel):
    """Rates of giving.

    `response` is matched donations per email sent. `click_to_gift` is emails with a donation per
    email that a person clicked.
    """

    response: Rate
    click_to_gift: Rate


class Figures(ResponseModel):
    emails: EmailFigures
    delivery: DeliveryFigures
    machines: MachineFigures
    unknown_events: Annotated[
        int, Field(description="Number of stored events of unknown type, which have no effect.")
    ]
    donations: DonationFigures
    recurring: RecurringFigures
    rates: Rates
    giving_rates: GivingRates
    raised_per_email: Annotated[
        dict[str, float], Field(description="Minor units raised per email sent, by currency.")
    ]
    cost_per_unit_raised: Annotated[
        dict[str, float], Field(description="Cost divided by the amount raised, by currency.")
    ]


class MailingLine(Figures):
    id: Id
    name: str
    sent_at: Time | None


class UnmatchedEvents(ResponseModel):
    """Events without a known email, counted up to 10,000.

    Events whose category names a mailing belong to it and to its fundraiser. Other events belong to
    the organization alone.
    """

    here: int
    in_organization: int


class DayLine(ResponseModel):
    """Totals of a day with donations."""

    day: Annotated[Day, Field(description="Day in the organization's time zone.")]
    count: int
    raised: Amounts


class HourLine(ResponseModel):
    """Totals of an hour with donations."""

    hour: Annotated[
        datetime,
        PlainSerializer(datetime.isoformat, return_type=str, when_used="json"),
        Field(description="Beginning of the hour, with its UTC offset."),
    ]
    count: int
    raised: Amounts


class SegmentGifts(ResponseModel):
    """Donations that match an email of the segment, net of refunds."""

    count: int
    raised: Amounts


class DelayClass(ResponseModel):
    below_hours: Annotated[
        int | None, Field(description="Upper limit of the class; null for the last one.")
    ]
    count: int


class Delays(ResponseModel):
    """Donations by hours after their email, without later instalments.

    Each class begins at the limit of the previous one. A donation can be before its email, because
    staff pinned it.
    """

    classes: list[DelayClass]
    before_email: int
    within_48_hours: Rate


class PeriodSum(ResponseModel):
    """Totals of a period. `from` and `to` are its first and last day."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    first: Annotated[Day, Field(serialization_alias="from")]
    last: Annotated[Day, Field(serialization_alias="to")]
    count: int
    raised: Amounts


class SegmentLine(ResponseModel):
    """The results of the emails with one value of the attribute.

    `kind` is `value`, `other` for values beyond the limit of 200, or `none` for emails without a
    value. `recorded` counts emails, sent or not.
    """

    kind: Literal["value", "other", "none"]
    value: str | None
    recorded: int
    emails: EmailFigures
    donations: SegmentGifts
    rates: Rates
    giving_rates: GivingRates
    raised_per_email: Annotated[
        dict[str, float], Field(description="Minor units raised per email sent, by currency.")
    ]


class SegmentTable(ResponseModel):
    """Results by the values of an attribute, the largest value first."""

    by: str
    attributes: Annotated[list[str], Field(description="The attributes that `by` can name.")]
    values: list[SegmentLine]


class RuleSum(ResponseModel):
    """The sum that a rule would credit to the mailing.

    `present` is true for the match policy's own window and touch at the time of the computation.
    """

    window_days: int
    touch: Literal["first", "last"]
    raised: Amounts
    present: Annotated[bool, Field(validation_alias="is_present")]


class Sensitivity(ResponseModel):
    """How much of the credited sum depends on the window and the touch, net of refunds.

    Workers compute it in the background. All sums are exact for `computed_at`. `credited` is the
    sum by the matches of that time. `lowest` and `highest` are the range of `rules`.
    """

    computed_at: Time
    credited: Amounts
    lowest: Amounts
    highest: Amounts
    rules: list[RuleSum]


class PeriodFigures(PeriodSum):
    """Donations of a period, by the time of the donation.

    `previous` is the period of the same length before, and `year_before` the same days of the year
    before. Donors, emails and matches are not known by period.
    """

    by_day: Annotated[list[DayLine], Field(description="All days with donations.")]
    previous: PeriodSum
    year_before: PeriodSum


class Report(Figures):
    as_of: Time
    unsettled: Annotated[
        Unsettled | None, Field(description="Null in a report of an earlier time.")
    ]
    time_zone: Annotated[str, Field(description="IANA time zone of the organization.")]
    by_day: Annotated[
        list[DayLine], Field(description="The latest days with donations, at most 31.")
    ]
    by_hour: Annotated[
        list[HourLine], Field(description="The hours of the latest two of these days.")
    ]
    hours_to_gift: Delays
    unmatched_events: Annotated[
        UnmatchedEvents | None, Field(description="Null in a report of an earlier time.")
    ]
    mailings: Annotated[
        list[MailingLine],
        Field(description="The fundraiser's latest mailings, newest first; at most 200."),
    ]
    more_mailings: Annotated[
        bool, Field(description="True if the fundraiser has earlier mailings.")
    ]
    segments: Annotated[SegmentTable | None, Field(description="Null without `by`.")]
    sensitivity: Annotated[
        Sensitivity | None,
        Field(description="Null until computed, and except in present reports of mailings."),
    ]
    period: Annotated[PeriodFigures | None, Field(description="Null without the parameter `from`.")]


def answer_report(
    resp: falcon.Response,
    report: figures.Report | figures.PastReport,
    period: periods.PeriodFigures | None,
) -> None:
    """Respond with a report. A change of its time alone does not change the ETag."""
    answer_model(resp, Report, {**report, "period": period}, volatile=frozenset({"as_of"}))
