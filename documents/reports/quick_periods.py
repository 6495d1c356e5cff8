"""Periods that staff choose by name. Their days depend on today and on the gifts."""

from collections.abc import Callable
from datetime import date
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from documents.fundraiser import Fundraiser
from documents.gift_day import GiftDay
from documents.mailing import Mailing
from documents.reports.gift_times import UtcDay, sum_by_local_day
from documents.reports.periods import MAX_PERIOD_DAYS, ONE_DAY, Period, get_gift_day_kind
from documents.rows.donation import GiftDayRow
from documents.values.time import now

QuickPeriod = Literal["last_7_days", "last_30_days", "this_month", "whole"]
QUICK_PERIODS: tuple[QuickPeriod, ...] = get_args(QuickPeriod)


def find_quick_period(of: Fundraiser | Mailing, name: QuickPeriod, zone: ZoneInfo) -> Period:
    """Return the local days of a named period.

    The whole period has all days from the first gift to the last one. It leaves out the earliest
    days if there are more than MAX_PERIOD_DAYS.
    """
    today = now().astimezone(zone).date()
    if name == "last_7_days":
        return Period(today - 6 * ONE_DAY, today)
    if name == "last_30_days":
        return Period(today - 29 * ONE_DAY, today)
    if name == "this_month":
        return Period(today.replace(day=1), today)
    return _find_whole_period(of, zone) or Period(today, today)


def _find_whole_period(of: Fundraiser | Mailing, zone: ZoneInfo) -> Period | None:
    ends = GiftDay.find_ends(get_gift_day_kind(of), of.id)
    if ends is None:
        return None
    first, last = _choose_local_day(ends[0], zone, min), _choose_local_day(ends[1], zone, max)
    return Period(max(first, last - (MAX_PERIOD_DAYS - 1) * ONE_DAY), last)


def _choose_local_day(
    row: GiftDayRow, zone: ZoneInfo, choose: Callable[[list[date]], date]
) -> date:
    """Return the first or the last of the local days that the gifts of a UTC day are on."""
    utc_day = UtcDay.read(row)
    by_day = sum_by_local_day([utc_day], zone)
    return choose([day for day, total in by_day.items() if total.count] or [utc_day.day])
