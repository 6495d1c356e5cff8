"""Money over time on an even axis, which includes days and hours without gifts. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from documents.reports.figures import DayLine, HourLine

DAYS_SHOWN, FEWEST_DAYS = 62, 14
HOURS_SHOWN, FEWEST_HOURS = 48, 12
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

Point = tuple[str, int]


def by_day(lines: Sequence[DayLine], currency: str) -> list[Point]:
    """What came in each day up to the last one with gifts, in minor units, with its label."""
    amounts = {line["day"]: line["raised"].get(currency, 0) for line in lines}
    last = max(amounts)
    number = min(DAYS_SHOWN, max(FEWEST_DAYS, (last - min(amounts)).days + 1))
    days = [last - DAY * ago for ago in range(number - 1, -1, -1)]
    return [(f"{day:%-d %b}", amounts.get(day, 0)) for day in days]


def by_hour(lines: Sequence[HourLine], currency: str) -> list[Point]:
    """What came in each hour up to the last one with gifts. Hours are told apart as instants: the
    one that comes twice when clocks go back is two."""
    amounts = {line["hour"].astimezone(UTC): line["raised"].get(currency, 0) for line in lines}
    last, zone = max(amounts), lines[-1]["hour"].tzinfo
    number = min(HOURS_SHOWN, max(FEWEST_HOURS, (last - min(amounts)) // HOUR + 1))
    hours: list[datetime] = [last - HOUR * ago for ago in range(number - 1, -1, -1)]
    return [(f"{hour.astimezone(zone):%-d %b, %H:%M}", amounts.get(hour, 0)) for hour in hours]
