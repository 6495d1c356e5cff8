"""Bars of a period: days, weeks or months, so that a chart of any length has few of them. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from documents.reports.figures import DayLine
from service.dashboard.presentation.formats import Formats

BarUnit = Literal["day", "week", "month"]
MAX_BARS = 120
DAYS_PER_WEEK = 7
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Bar:
    """The gifts from a day to a day inclusive. The first and the last bar can be shorter."""

    first: date
    last: date
    gifts: int = 0
    raised: Counter[str] = field(default_factory=Counter)


def choose_bar_unit(days: int) -> BarUnit:
    """Return the smallest unit that gives a period about MAX_BARS bars at most."""
    if days <= MAX_BARS:
        return "day"
    # The period can begin and end within a week.
    return "week" if days <= (MAX_BARS - 1) * DAYS_PER_WEEK else "month"


def build_bars(
    lines: Sequence[DayLine], first: date, last: date, unit: BarUnit, first_weekday: int
) -> list[Bar]:
    """Return the bars of a period in order, which include those without gifts.

    Args:
        first_weekday: day with which weeks begin; 0 is Monday.
    """
    bars, rest = [], iter([*lines, None])
    line = next(rest)
    for begin, end in _list_spans(first, last, unit, first_weekday):
        gifts, raised = 0, Counter[str]()
        while line is not None and line["day"] <= end:
            gifts += line["count"]
            raised.update(line["raised"])
            line = next(rest)
        bars.append(Bar(begin, end, gifts, raised))
    return bars


def _list_spans(
    first: date, last: date, unit: BarUnit, first_weekday: int
) -> Iterator[tuple[date, date]]:
    begin = first
    while begin <= last:
        end = min(_find_end(begin, unit, first_weekday), last)
        yield begin, end
        begin = end + ONE_DAY


def _find_end(begin: date, unit: BarUnit, first_weekday: int) -> date:
    if unit == "day":
        return begin
    if unit == "week":
        return begin + (DAYS_PER_WEEK - 1 - (begin.weekday() - first_weekday) % 7) * ONE_DAY
    next_month = (begin.replace(day=1) + timedelta(days=31)).replace(day=1)
    return next_month - ONE_DAY


def label_bar(bar: Bar, unit: BarUnit, formats: Formats) -> str:
    """Return the label of a bar in a table."""
    if unit == "month":
        return formats.month(bar.first)
    if unit == "week" and bar.first < bar.last:
        return formats.days(bar.first, bar.last, with_year=True)
    return formats.dated(bar.first)


def label_axis(bar: Bar, unit: BarUnit, formats: Formats) -> str:
    """Return the label of a bar at the axis of a chart, which has little space."""
    if unit == "day":
        return formats.day(bar.first)  # unique, because a longer period has weeks
    return formats.month(bar.first) if unit == "month" else formats.dated(bar.first)
