"""The format of reports. documents/reports/report.py creates their content."""

from datetime import date, datetime
from typing import Annotated

import falcon
from pydantic import Field, PlainSerializer

from documents.reports import figures
from service.api.fields import Id, ResponseModel, Time
from service.api.operation import answer_model

Rate = Annotated[float | None, Field(description="A fraction; null with nothing below the line")]
Amounts = Annotated[dict[str, int], Field(description="Minor units by currency")]


class Unsettled(ResponseModel):
    """What is stored and not counted yet. Deliveries are the whole organization's."""

    donations: int
    deliveries: int
    oldest_seconds: float


class EmailFigures(ResponseModel):
    """Emails by what became of them. Opens, machine_opens and clicks count events."""

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
    """Emails that wait for the receiving server, and those, part of `bounced`, that it blocked."""

    deferred: int
    blocked: int


class MachineFigures(ResponseModel):
    """Events that no person made; in neither opens nor clicks."""

    opens: int
    clicks: int


class MatchClass(ResponseModel):
    count: int
    raised: Amounts


class MatchClasses(ResponseModel):
    direct: MatchClass
    indirect: MatchClass
    unresolved: MatchClass


class RecurringFigures(ResponseModel):
    """Recurring gifts, net of refunds: plans, what their first gifts brought, and what they have
    brought in all so far."""

    plans: int
    first_gift: Amounts
    lifetime: Amounts


class DonationFigures(ResponseModel):
    """Gifts that count, net of refunds; donors are people."""

    count: int
    donors: int
    raised: Amounts
    refunded: Amounts
    average: Amounts
    by_match: MatchClasses


class Rates(ResponseModel):
    """Of people: what machines opened and clicked is in none of these.

    Delivery is of emails sent; open, click and conversion (emails that led to a gift) of emails
    delivered; click_to_open of emails opened."""

    delivery: Rate
    open: Rate
    click: Rate
    click_to_open: Rate
    conversion: Rate


class GivingRates(ResponseModel):
    """Gifts that an email led to, of emails sent; and emails that led to a gift, of emails that
    people clicked."""

    response: Rate
    click_to_gift: Rate


class Figures(ResponseModel):
    emails: EmailFigures
    delivery: DeliveryFigures
    machines: MachineFigures
    unknown_events: Annotated[
        int, Field(description="Events of types that are not known: kept, without effect")
    ]
    donations: DonationFigures
    recurring: RecurringFigures
    rates: Rates
    giving_rates: GivingRates
    raised_per_email: Annotated[
        dict[str, float], Field(description="Minor units raised for each email sent, by currency")
    ]
    cost_per_unit_raised: Annotated[
        dict[str, float], Field(description="Cost divided by what was raised, by currency")
    ]


class MailingLine(Figures):
    id: Id
    name: str
    sent_at: Time | None


class UnmatchedEvents(ResponseModel):
    """Events of which no email is known (yet). Those whose category names a mailing are its own
    and its fundraiser's; the others are the organization's alone. Counted up to 10,000."""

    get_traceparent: int
    in_organization: int


class DayLine(ResponseModel):
    """What came in on a day with gifts."""

    day: Annotated[
        date,
        PlainSerializer(date.isoformat, return_type=str, when_used="json"),
        Field(description="In the organization's time zone"),
    ]
    count: int
    raised: Amounts


class HourLine(ResponseModel):
    """What came in within an hour with gifts."""

    hour: Annotated[
        datetime,
        PlainSerializer(datetime.isoformat, return_type=str, when_used="json"),
        Field(description="When it began, with the offset of that hour"),
    ]
    count: int
    raised: Amounts


class Report(Figures):
    as_of: Time
    unsettled: Unsettled
    time_zone: Annotated[str, Field(description="The organization's, an IANA name")]
    by_day: Annotated[
        list[DayLine], Field(description="The latest days with gifts, 31 at the most")
    ]
    by_hour: Annotated[list[HourLine], Field(description="The hours of the last two of these")]
    unmatched_events: UnmatchedEvents
    mailings: list[MailingLine]


def answer_report(resp: falcon.Response, report: figures.Report) -> None:
    """Answer with a report; one that differs by its time alone is none that is new."""
    answer_model(resp, Report, report, volatile=frozenset({"as_of"}))
