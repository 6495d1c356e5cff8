"""Gifts of a period of local days, beside the previous period and the same one a year before.

The cost grows with the days of the period, and not with its gifts. Only the number and the amount
of gifts are known by day. Donors, emails and matches are known in total, so no period has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from bson import ObjectId
from mongoengine import get_db

from documents.errors import Unacceptable
from documents.fundraiser import Fundraiser
from documents.gift_day import read_gift_day
from documents.mailing import Mailing
from documents.organization import Organization
from documents.reports.figures import DayLine, GiftSum
from documents.reports.gift_times import GiftTotal, UtcDay, sum_by_local_day
from documents.rows.collections import collection
from documents.rows.donation import GiftDayRow
from documents.values.time import now

ONE_DAY = timedelta(days=1)
MAX_PERIOD_DAYS = 3_650  # ten years
LEAP_DAY = (2, 29)


@dataclass(frozen=True)
class Period:
    """Local days from `first` to `last` inclusive."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """The number of days in the period."""
        return (self.last - self.first).days + 1

    @property
    def previous(self) -> Self:
        """The period of the same length directly before this one."""
        length = self.days * ONE_DAY
        return type(self)(self.first - length, self.last - length)

    @property
    def year_before(self) -> Self:
        """The same days of the year before. The 28th stands for a missing February 29."""
        return type(self)(_find_year_before(self.first), _find_year_before(self.last))


class PeriodSum(GiftSum):
    """The gifts of a period, net of refunds."""

    first: date
    last: date


class PeriodFigures(PeriodSum):
    """The gifts of a period and its days, and of the periods to compare it with."""

    by_day: list[DayLine]
    previous: PeriodSum
    year_before: PeriodSum


def choose_period(first: date | None, last: date | None, zone: ZoneInfo) -> Period | None:
    """Return the period that a client asks for; None if it asks for none.

    Args:
        last: today if None.

    Raises:
        Unacceptable: the period has no beginning, ends before it, or is too long.
    """
    if first is None and last is None:
        return None
    if first is None:
        raise Unacceptable("/from", "missing", "Required together with `to`.")
    period = Period(first, last or now().astimezone(zone).date())
    if period.days < 1:
        raise Unacceptable("/from", "order", "Must not be after `to`.")
    if period.days > MAX_PERIOD_DAYS:
        detail = f"The period must have at most {MAX_PERIOD_DAYS:,} days."
        raise Unacceptable("/from", "too_long", detail)
    return period


def build_period(
    of: Fundraiser | Mailing, first: date | None, last: date | None
) -> PeriodFigures | None:
    """Return the gifts of a period in the organization's time zone; None without a period.

    Raises:
        Unacceptable: see `choose_period`.
    """
    zone = Organization.objects.get(id=of.organization_id).zone
    period = choose_period(first, last, zone)
    return build_period_figures(of, period, zone) if period else None


def build_period_figures(of: Fundraiser | Mailing, period: Period, zone: ZoneInfo) -> PeriodFigures:
    """Return the gifts of a period of local days, and of the periods to compare it with."""
    kind = get_gift_day_kind(of)
    by_day = _read_days(kind, of.id, period, zone)
    previous, year_before = (
        _sum_days(one, _read_days(kind, of.id, one, zone))
        for one in (period.previous, period.year_before)
    )
    return {
        **_sum_days(period, by_day),
        "by_day": [{"day": day, **of_day.to_sum()} for day, of_day in sorted(by_day.items())],
        "previous": previous,
        "year_before": year_before,
    }


def get_gift_day_kind(of: Fundraiser | Mailing) -> str:
    """Return the kind of the record in the IDs of its gift days."""
    return "fundraiser" if isinstance(of, Fundraiser) else "mailing"


def _find_year_before(day: date) -> date:
    if (day.month, day.day) == LEAP_DAY:
        day -= ONE_DAY
    return day.replace(year=day.year - 1)


def _read_days(kind: str, of: ObjectId, period: Period, zone: ZoneInfo) -> Mapping[date, GiftTotal]:
    """Return the local days of a period that have gifts."""
    begin, end = _to_utc_day(period.first, zone), _to_utc_day(period.last + ONE_DAY, zone)
    ids = {"$gte": f"{kind}:{of}:{begin}", "$lte": f"{kind}:{of}:{end}"}
    rows = collection(get_db(), GiftDayRow).find({"_id": ids})
    utc_days = [
        UtcDay(read_gift_day(row["_id"]), row.get("gifts", {}), row.get("raised", {}))
        for row in rows
    ]
    return {
        day: total
        for day, total in sum_by_local_day(utc_days, zone).items()
        if total.count and period.first <= day <= period.last
    }


def _to_utc_day(day: date, zone: ZoneInfo) -> str:
    """Return the UTC day in which a local day begins, in ISO 8601."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).date().isoformat()


def _sum_days(period: Period, by_day: Mapping[date, GiftTotal]) -> PeriodSum:
    total = GiftTotal()
    for of_day in by_day.values():
        total.count += of_day.count
        total.raised.update(of_day.raised)
    return {"first": period.first, "last": period.last, **total.to_sum()}
