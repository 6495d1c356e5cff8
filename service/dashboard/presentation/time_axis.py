"""Money over time on an even axis, which includes days and hours without gifts. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from documents.reports.figures import DayLine, HourLine
from service.dashboard.presentation.formats import Formats

MAX_DAYS_SHOWN, MIN_DAYS_SHOWN = 62, 14
MAX_HOURS_SHOWN, MIN_HOURS_SHOWN = 48, 12
ONE_HOUR = timedelta(hours=1)
ONE_DAY = timedelta(days=1)

Point = tuple[str, int]


def list_day_points(lines: Sequence[DayLine], currency: str, formats: Formats) -> list[Point]:
    """Return the label and the amount in minor units of each day up to the last one with gifts."""
    amounts = {line["day"]: line["raised"].get(currency, 0) for line in lines}
    last = max(amounts)
    number = min(MAX_DAYS_SHOWN, max(MIN_DAYS_SHOWN, (last - min(amounts)).days + 1))
    days = [last - ONE_DAY * ago for ago in range(number - 1, -1, -1)]
    return [(formats.day(day), amounts.get(day, 0)) for day in days]


def list_hour_points(lines: Sequence[HourLine], currency: str, formats: Formats) -> list[Point]:
    """Return the label and the amount of each hour up to the last one with gifts.

    Hours are compared as instants, because one hour comes twice when clocks go back.
    """
    amounts = {line["hour"].astimezone(UTC): line["raised"].get(currency, 0) for line in lines}
    last = max(amounts)
    number = min(MAX_HOURS_SHOWN, max(MIN_HOURS_SHOWN, (last - min(amounts)) // ONE_HOUR + 1))
    hours: list[datetime] = [last - ONE_HOUR * ago for ago in range(number - 1, -1, -1)]
    return [(formats.hour(hour), amounts.get(hour, 0)) for hour in hours]
