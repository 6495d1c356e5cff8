"""Gifts by local day and hour, from what is counted by quarters of UTC hours. Pure.

A day on which clocks change has 23 or 25 hours; the hour that comes twice is two hours, each with
its own offset from UTC.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from documents.gift_day import MINUTES_A_QUARTER

HOURS_OF_DAYS = 2


@dataclass(frozen=True)
class UtcDay:
    """What is counted of one UTC day: gifts by quarter, and money by currency and quarter."""

    day: date
    gifts: Mapping[str, int]
    raised: Mapping[str, Mapping[str, int]]


@dataclass
class Sum:
    """What came in within a day or an hour."""

    count: int = 0
    raised: Counter[str] = field(default_factory=Counter)

    def told(self) -> dict[str, Any]:
        """In the form of reports."""
        return {
            "count": self.count,
            "raised": {code: amount for code, amount in sorted(self.raised.items()) if amount},
        }


def by_day_and_hour(
    rows: Iterable[UtcDay], zone: ZoneInfo, days: int, *, is_cut: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The latest local days with gifts, oldest first, and the hours of the last two of them.

    Args:
        days: how many days at the most.
        is_cut: there are older rows than these, so the oldest local days may be incomplete.
    """
    rows = sorted(rows, key=lambda row: row.day)
    quarters = list(_quarters(rows, zone))
    by_day: dict[date, Sum] = {}
    for local, count, raised in quarters:
        _add(by_day.setdefault(local.date(), Sum()), count, raised)
    complete = rows[0].day + timedelta(days=2) if rows and is_cut else date.min
    shown = [day for day, total in sorted(by_day.items()) if total.count and day >= complete]
    shown = shown[-days:]
    by_hour: dict[datetime, Sum] = {}
    latest = set(shown[-HOURS_OF_DAYS:])
    for local, count, raised in quarters:
        if local.date() in latest:
            _add(by_hour.setdefault(local.replace(minute=0), Sum()), count, raised)
    hours = [{"hour": at, **total.told()} for at, total in sorted(by_hour.items()) if total.count]
    return [{"day": day, **by_day[day].told()} for day in shown], hours


def _add(total: Sum, count: int, raised: Mapping[str, int]) -> None:
    total.count += count
    total.raised.update(raised)


def _quarters(
    rows: Sequence[UtcDay], zone: ZoneInfo
) -> Iterator[tuple[datetime, int, dict[str, int]]]:
    """Each quarter with gifts: when it began locally, how many, and how much."""
    for row in rows:
        midnight = datetime(row.day.year, row.day.month, row.day.day, tzinfo=UTC)
        offset = _offset(midnight, zone)
        changes = offset != _offset(midnight + timedelta(days=1), zone)
        fixed = timezone(offset)
        for name, count in row.gifts.items():
            at = midnight + timedelta(minutes=MINUTES_A_QUARTER * int(name))
            if changes:
                fixed = timezone(_offset(at, zone))
            raised = {code: of[name] for code, of in row.raised.items() if name in of}
            if count or raised:
                yield at.astimezone(fixed), count, raised


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)
