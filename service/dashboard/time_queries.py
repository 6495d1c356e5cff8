"""The queries of pages about a time: a period of days, or an earlier time.

Forms send local times without an offset, and blank fields for what a person does not choose.
"""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from documents.errors import Unacceptable
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.reports.periods import PeriodFigures, build_period_figures, choose_period
from documents.reports.quick_periods import QuickPeriod, find_quick_period
from documents.values.fields import EARLIEST_TIME, LATEST_TIME, format_time
from documents.values.time import truncate_to_milliseconds
from service.api.fields import read_time
from service.api.resources.report_query import read_day
from service.dashboard.queries import PageQuery

LOCAL_TIME_PATTERN = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?", re.ASCII
)  # as the inputs of a form send it


def read_form_day(value: str) -> date | None:
    """Read a day; None if the field is blank."""
    return read_day(value) if value else None


def read_form_time(value: str) -> datetime | None:
    """Read a local time without an offset, or an RFC 3339 time; None if the field is blank."""
    if not value:
        return None
    if not LOCAL_TIME_PATTERN.fullmatch(value):
        time: datetime = read_time(value)
        return time
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("time", "Must be a time such as 2026-11-23T10:00.") from None
    # A day less on each side, because the time zone is not known here.
    if not EARLIEST_TIME.year < time.year < LATEST_TIME.year:
        raise PydanticCustomError("time_range", "Must be between the years 1901 and 2200.")
    return time


FormDay = Annotated[date | None, BeforeValidator(read_form_day)]
FormTime = Annotated[datetime | None, BeforeValidator(read_form_time)]


class PeriodQuery(PageQuery):
    """A period of local days, named or from a first to a last day."""

    period: QuickPeriod | None = None
    first: Annotated[FormDay, Field(alias="from")] = None
    last: Annotated[FormDay, Field(alias="to")] = None

    @property
    def period_fields(self) -> dict[str, str]:
        """The parameters of the period, for links."""
        return {name: value for name, value in self._list_fields().items() if value}

    def _list_fields(self) -> dict[str, str]:
        first, last = (day.isoformat() if day else "" for day in (self.first, self.last))
        return {"period": self.period or "", "from": first, "to": last}


class ReportTimeQuery(PeriodQuery):
    """A period, or an earlier time whose figures the page shows."""

    as_of: FormTime = None

    def find_as_of(self, zone: ZoneInfo) -> datetime | None:
        """Return the earlier time; None for the present figures.

        Raises:
            Unacceptable: the query also has a period.
        """
        if self.as_of is None:
            return None
        if self.period_fields:
            raise Unacceptable("/as_of", "combined", "Must not be combined with a period.")
        return to_instant(self.as_of, zone)


def to_instant(time: datetime, zone: ZoneInfo) -> datetime:
    """Return the time in UTC. A time without an offset is in the zone."""
    local = time if time.tzinfo else time.replace(tzinfo=zone)
    return truncate_to_milliseconds(local.astimezone(UTC))


def find_period_figures(
    of: Fundraiser | Mailing, query: PeriodQuery, zone: ZoneInfo
) -> PeriodFigures | None:
    """Return the gifts of the period in the query; None without a period. Days win over a name.

    Raises:
        Unacceptable: the days are not a period; see `choose_period`.
    """
    period = choose_period(query.first, query.last, zone)
    if period is None and query.period:
        period = find_quick_period(of, query.period, zone)
    return build_period_figures(of, period, zone) if period else None


def format_query(fields: dict[str, Any]) -> str:
    """Return the query of a link with its question mark; blank without fields."""
    given = {name: value for name, value in fields.items() if value}
    return f"?{urlencode(given)}" if given else ""


def format_as_of(at: datetime | None) -> str:
    """Return the query of a link to figures of a time; blank for the present figures."""
    return format_query({"as_of": format_time(at)} if at else {})
