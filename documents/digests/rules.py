"""The periods of digests, in the organization's time zone, and when their mails are due. Pure.

A period consists of whole local days, so a day on which clocks change has 23 or 25 hours.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, Self, get_args
from zoneinfo import ZoneInfo

DigestFrequency = Literal["daily", "weekly"]
DIGEST_FREQUENCIES: tuple[DigestFrequency, ...] = get_args(DigestFrequency)
DIGEST_LOCAL_HOUR = 7  # of the day after the period
ONE_DAY = timedelta(days=1)
PERIOD_DAYS: dict[DigestFrequency, int] = {"daily": 1, "weekly": 7}


@dataclass(frozen=True)
class DigestPeriod:
    """A local day, or a local week from Monday to Sunday."""

    frequency: DigestFrequency
    first: date

    @classmethod
    def find(cls, frequency: DigestFrequency, day: date) -> Self:
        """Return the period that includes this day."""
        is_weekly = frequency == "weekly"
        return cls(frequency, day - day.weekday() * ONE_DAY if is_weekly else day)

    @property
    def last(self) -> date:
        """The last day of the period."""
        return self.first + (self.days - 1) * ONE_DAY

    @property
    def days(self) -> int:
        """The number of days in the period."""
        return PERIOD_DAYS[self.frequency]

    @property
    def previous(self) -> Self:
        """The period before this one."""
        return type(self)(self.frequency, self.first - self.days * ONE_DAY)

    @property
    def name(self) -> str:
        """The period in ISO 8601, such as 2026-11-27 or 2026-W48."""
        if self.frequency == "daily":
            return self.first.isoformat()
        year, week, _ = self.first.isocalendar()
        return f"{year}-W{week:02}"

    def get_bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return the times in UTC at which the period begins and the next one begins."""
        return _to_utc(self.first, 0, zone), _to_utc(self.last + ONE_DAY, 0, zone)


def find_last_period(frequency: DigestFrequency, at: datetime, zone: ZoneInfo) -> DigestPeriod:
    """Return the last finished period whose mail is due by this time."""
    sent_on = at.astimezone(zone).date()
    if _to_utc(sent_on, DIGEST_LOCAL_HOUR, zone) > at:
        sent_on -= ONE_DAY
    if frequency == "weekly":
        sent_on -= sent_on.weekday() * ONE_DAY
    return DigestPeriod(frequency, sent_on - PERIOD_DAYS[frequency] * ONE_DAY)


def find_next_due(frequency: DigestFrequency, at: datetime, zone: ZoneInfo) -> datetime:
    """Return the first time after this time at which a mail is due."""
    last = find_last_period(frequency, at, zone)
    sent_on = last.last + ONE_DAY
    while (due := _to_utc(sent_on, DIGEST_LOCAL_HOUR, zone)) <= at:
        sent_on += last.days * ONE_DAY
    return due


def _to_utc(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """Return the time in UTC of a local hour.

    A clock change can skip the hour. It is then the time at which the next one begins.
    """
    return datetime(day.year, day.month, day.day, hour, tzinfo=zone).astimezone(UTC)
