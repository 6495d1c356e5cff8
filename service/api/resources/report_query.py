"""The query of a report."""

from datetime import date, datetime
from typing import Annotated

from pydantic import MISSING, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from documents.errors import Unacceptable
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.reports import periods
from documents.values.attributes import AttributeName
from service.api.fields import Time

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
    by: Annotated[
        AttributeName | MISSING,
        Field(
            description="Attribute of users, or mailbox_provider, by whose values the report also "
            "shows results."
        ),
    ] = MISSING

    @property
    def attribute(self) -> str | None:
        """The attribute in `by`, if any."""
        return None if self.by is MISSING else self.by


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
    if query.attribute and query.as_of is not MISSING:
        raise Unacceptable("/as_of", "combined", "Must not be combined with `by`.")
    return period
