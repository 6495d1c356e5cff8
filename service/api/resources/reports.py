"""The format of reports. documents/reports/report.py computes their content."""

from datetime import date, datetime
from typing import Annotated

import falcon
from pydantic import (
    MISSING,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from documents.errors import Unacceptable
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.reports import figures, periods
from service.api.fields import Id, ResponseModel, Time
from service.api.operation import answer_model

Day = Annotated[date, PlainSerializer(date.isoformat, return_type=str, when_used="json")]
EARLIEST_DAY, LATEST_DAY = date(1900, 1, 1), date(2199, 12, 31)


def read_day(value: str) -> date:
    """Read a day of a query in ISO 8601."""
    try:
        day = datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007
    except ValueError:
        raise PydanticCustomError("date", "Must be a day such as 2026-11-23.") from None
    if not EARLIEST_DAY <= day <= LATEST_DAY:
        raise PydanticCustomError("date_range", "Must be between the years 1900 and 2200.")
    return day


AskedDay = Annotated[
    date,
    BeforeValidator(read_day),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-11-23"]}),
]
Rate = Annotated[
    float | None, Field(description="Ratio from 0 to 1; null if the denominator is zero.")
]
Amounts = Annotated[dict[str, int], Field(description="Amounts in minor units, by currency.")]


class ReportQuery(BaseModel):
    """The query of a report."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    as_of: (
        Annotated[
            Time, Field(description="Earlier time; the report has the figures as they stood then.")
        ]
        | MISSING
    ) = MISSING
    first: Annotated[
        AskedDay | MISSING,
        Field(alias="from", description="First day of a period, in the organization's time zone."),
    ] = MISSING
    last: Annotated[
        AskedDay | MISSING,
        Field(alias="to", description="Last day of the period; by default, today."),
    ] = MISSING


def read_period(of: Fundraiser | Mailing, query: ReportQuery) -> periods.PeriodFigures | None:
    """Return the gifts of the period in the query; None without a period.

    Raises:
        Unacceptable: the period is not acceptable, or the query also asks for an earlier time.
    """
    first = None if query.first is MISSING else query.first
    last = None if query.last is MISSING else query.last
    period = periods.build_period(of, first, last)
    if period and query.as_of is not MISSING:
        raise Unacceptable("/as_of", "combined", "Must not be combined with `from` and `to`.")
    return period


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
    mailings: list[MailingLine]
    period: Annotated[PeriodFigures | None, Field(description="Null without the parameter `from`.")]


def answer_report(
    resp: falcon.Response,
    report: figures.Report | figures.PastReport,
    period: periods.PeriodFigures | None,
) -> None:
    """Respond with a report. A change of its time alone does not change the ETag."""
    answer_model(resp, Report, {**report, "period": period}, volatile=frozenset({"as_of"}))
