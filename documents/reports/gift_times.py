"""Gifts by local day and hour, computed from counts by quarters of UTC hours. Pure.

A day on which clocks change has 23 or 25 hours. An hour that occurs twice appears as two hours with
different UTC offsets.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from typing import Self
from zoneinfo import ZoneInfo

from documents.gift_day import MINUTES_PER_QUARTER, read_gift_day
from documents.reports.figures import DayLine, GiftSum, HourLine
from documents.rows.donation import GiftDayRow
from documents.values.rates import drop_zero_totals

DAYS_WITH_HOURS = 2
QUARTER_DURATION = timedelta(minutes=MINUTES_PER_QUARTER)
DAY_DURATION = timedelta(days=1)
QUARTERS_PER_DAY = DAY_DURATION // QUARTER_DURATION


@dataclass(frozen=True)
class UtcDay:
    """The counts of one UTC day: gifts by quarter, and amounts by currency and quarter."""

    day: date
    gifts: Mapping[str, int]
    raised: Mapping[str, Mapping[str, int]]

    @classmethod
    def read(cls, row: GiftDayRow) -> Self:
        """Read a stored row."""
        return cls(read_gift_day(row["_id"]), row.get("gifts", {}), row.get("raised", {}))


@dataclass
class GiftTotal:
    """The number and sum of the gifts in a day or an hour."""

    count: int = 0
    raised: Counter[str] = field(default_factory=Counter)

    def add(self, currency: str, amount: int) -> None:
        """Add an amount of money, or a number of gifts if the currency is empty."""
        if currency:
            self.raised[currency] += amount
        else:
            self.count += amount

    def to_sum(self) -> GiftSum:
        """Return the total in the form that reports use."""
        return {"count": self.count, "raised": drop_zero_totals(self.raised)}


def sum_by_local_day(rows: Iterable[UtcDay], zone: ZoneInfo) -> dict[date, GiftTotal]:
    """Return the totals of local days. The first and the last one can be incomplete."""
    by_day: dict[date, GiftTotal] = {}
    for row in rows:
        for part in _parts(row, zone):
            part.add_to(by_day)
    return by_day


def sum_by_local_time(
    rows: Iterable[UtcDay], zone: ZoneInfo, days: int, *, is_cut: bool
) -> tuple[list[DayLine], list[HourLine]]:
    """Return the latest local days with gifts, oldest first, and the hours of the last two days.

    Args:
        days: the maximum number of days.
        is_cut: whether older rows exist, so that the oldest local days can be incomplete.
    """
    rows = sorted(rows, key=lambda row: row.day)
    by_day = sum_by_local_day(rows, zone)
    by_hour: dict[datetime, GiftTotal] = {}
    complete = rows[0].day + timedelta(days=2) if rows and is_cut else date.min
    shown = [day for day, total in sorted(by_day.items()) if total.count and day >= complete]
    shown = shown[-days:]
    latest = set(shown[-DAYS_WITH_HOURS:])
    for row in rows:
        for part in _parts(row, zone):
            part.add_hours_to(by_hour, latest)
    hours: list[HourLine] = [
        {"hour": at, **total.to_sum()} for at, total in sorted(by_hour.items()) if total.count
    ]
    return [{"day": day, **by_day[day].to_sum()} for day in shown], hours


@dataclass(frozen=True)
class _Part:
    """The quarters of a UTC day that share one UTC offset, from `first` to just before `end`."""

    row: UtcDay
    offset: timedelta
    first: int
    end: int

    def add_to(self, by_day: dict[date, GiftTotal]) -> None:
        """Add the counts to the one or two local days.

        Sum the quarters without a date for each, because a report reads thousands of quarters.
        """
        days, shift = divmod(self.offset // QUARTER_DURATION, QUARTERS_PER_DAY)
        day = self.row.day + timedelta(days=days)
        early = _names_before(QUARTERS_PER_DAY - shift)  # The next local day starts after these.
        for kind, of in self._counted():
            before = sum(of[name] for name in early if name in of)
            for local, amount in ((day, before), (day + DAY_DURATION, sum(of.values()) - before)):
                if amount:
                    by_day.setdefault(local, GiftTotal()).add(kind, amount)

    def _counted(self) -> list[tuple[str, Mapping[str, int]]]:
        """Return the counts of these quarters: gifts under an empty currency, then amounts."""
        counted = [("", self.row.gifts), *self.row.raised.items()]
        if (self.first, self.end) == (0, QUARTERS_PER_DAY):
            return counted
        return [
            (
                kind,
                {name: n for name, n in of.items() if self.first <= int(name) < self.end},
            )
            for kind, of in counted
        ]

    def add_hours_to(self, by_hour: dict[datetime, GiftTotal], days: set[date]) -> None:
        """Add the counts of these local days to their hours."""
        touched = {self.row.day + timedelta(days=days_on) for days_on in (-1, 0, 1)}
        if not touched & days:
            return
        midnight = datetime(self.row.day.year, self.row.day.month, self.row.day.day, tzinfo=UTC)
        for kind, of in self._counted():
            for name, amount in of.items():
                at = midnight + int(name) * QUARTER_DURATION
                local = at.astimezone(timezone(self.offset))
                if local.date() in days:
                    by_hour.setdefault(local.replace(minute=0), GiftTotal()).add(kind, amount)


@cache
def _names_before(quarter: int) -> tuple[str, ...]:
    return tuple(map(str, range(quarter)))


def _parts(row: UtcDay, zone: ZoneInfo) -> list[_Part]:
    """Return the row as one part, or as two parts if clocks change on that day."""
    midnight = datetime(row.day.year, row.day.month, row.day.day, tzinfo=UTC)

    def offset(number: int) -> timedelta:
        return (midnight + number * QUARTER_DURATION).astimezone(zone).utcoffset() or timedelta(0)

    before, after = offset(0), offset(QUARTERS_PER_DAY - 1)
    if before == after:
        return [_Part(row, before, 0, QUARTERS_PER_DAY)]
    change = bisect_left(range(QUARTERS_PER_DAY), True, key=lambda number: offset(number) == after)
    return [_Part(row, before, 0, change), _Part(row, after, change, QUARTERS_PER_DAY)]
