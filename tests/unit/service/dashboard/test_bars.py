"""Bars of a period: few of them at any length, and every gift in exactly one. Pure."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from documents.reports.figures import DayLine
from documents.reports.periods import MAX_PERIOD_DAYS
from service.dashboard.presentation.bars import MAX_BARS, build_bars, choose_bar_unit

ONE_DAY = timedelta(days=1)
MONDAY, SUNDAY = 0, 6


@pytest.mark.parametrize("days", [*range(1, 1_000, 7), 120, 121, 833, 834, MAX_PERIOD_DAYS])
@pytest.mark.parametrize("weekday", [MONDAY, SUNDAY])
def test_any_period_has_few_bars_with_all_its_gifts(days: int, weekday: int) -> None:
    first = date(2019, 2, 27)
    last = first + (days - 1) * ONE_DAY
    lines: list[DayLine] = [
        {"day": first + n * ONE_DAY, "count": 1, "raised": {"USD": n}} for n in range(0, days, 3)
    ]
    unit = choose_bar_unit(days)
    bars = build_bars(lines, first, last, unit, weekday)
    assert len(bars) <= MAX_BARS + (unit == "month")
    assert sum(bar.gifts for bar in bars) == len(lines)
    assert sum(bar.raised["USD"] for bar in bars) == sum(line["raised"]["USD"] for line in lines)
    assert (bars[0].first, bars[-1].last) == (first, last)
    assert all(one.last + ONE_DAY == other.first for one, other in pairwise(bars))


def test_weeks_begin_on_the_weekday_of_the_locale_and_months_on_the_first() -> None:
    def begins(unit: str, weekday: int) -> list[date]:
        first, last = date(2026, 10, 28), date(2026, 11, 10)
        return [bar.first for bar in build_bars([], first, last, unit, weekday)]  # type: ignore[arg-type]

    wednesday = date(2026, 10, 28)
    assert begins("week", MONDAY) == [wednesday, date(2026, 11, 2), date(2026, 11, 9)]
    assert begins("week", SUNDAY) == [wednesday, date(2026, 11, 1), date(2026, 11, 8)]
    assert begins("month", MONDAY) == [wednesday, date(2026, 11, 1)]
