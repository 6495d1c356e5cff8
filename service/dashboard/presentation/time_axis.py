"""Money over time on an even axis, which includes days and hours without gifts. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from documents.reports.figures import DayLine, HourLine
from service.dashboard.presentation.formats import Formats

DAYS_SHOWN, FEWEST_DAYS = 62, 14
HOURS_SHOWN, FEWEST_HOURS = 48, 12
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

Point = tuple[str, int]


def by_day(lines: Sequence[DayLine], currency: str, formats: Formats) -> list[Point]:
    """Return the label and the amount in minor units of each day up to the last one with gifts."""
    amounts = {line["day"]: line["raised"].get(currency, 0) for line in lines}
    last = max(amounts)
    number = min(DAYS_SHOWN, max(FEWEST_DAYS, (last - min(amounts)).days + 1))
    days = [last - DAY * ago for ago in range(number - 1, -1, -1)]
    return [(formats.day(day), amounts.get(day, 0)) for day in days]


def by_hour(lines: Sequence[HourLine], currency: str, formats: Formats) -> list[Point]:
    """Return the label and the amount of each hour up to the last one with gifts.

    Hours are compared as instants, because one hour comes twice when clocks go back.
    """
    amounts = {line["hour"].astimezone(UTC): line["raised"].get(currency, 0) for line in lines}
    last = max(amounts)
    number = min(HOURS_SHOWN, max(FEWEST_HOURS, (last - min(amounts)) // HOUR + 1))
    hours: list[datetime] = [last - HOUR * ago for ago in range(number - 1, -1, -1)]
    return [(formats.hour(hour), amounts.get(hour, 0)) for hour in hours]
