"""Dates as people write them. Pure.

A date with points, such as 28.11.2026, begins with the day. A date that begins with the year is in
ISO 8601. A date with slashes begins with the month or the day. The whole file decides which: a part
above 12 is a day. If no date of the file proves the order, or two dates contradict each other, the
import must name the order.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from typing import Literal

from documents.errors import Unusable

DateOrder = Literal["", "day", "month"]

MAX_TEXT_LENGTH = 64
AMBIGUOUS = "The date is ambiguous. Choose whether the day or the month is first"
NOT_A_DATE = "Must be a date such as 2026-11-28"
_TIME = (
    r"(?:[ T,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))? ?(?P<half>[AaPp][Mm])?)?"
)
_SLASHED = re.compile(
    rf"(?P<first>\d{{1,2}})[/\-](?P<second_>\d{{1,2}})[/\-](?P<year>\d{{4}}){_TIME}"
)
_POINTED = re.compile(
    rf"(?P<first>\d{{1,2}})\. ?(?P<second_>\d{{1,2}})\. ?(?P<year>\d{{4}}){_TIME}"
)
_YEAR_FIRST = re.compile(
    rf"(?P<year>\d{{4}})[/.](?P<first>\d{{1,2}})[/.](?P<second_>\d{{1,2}}){_TIME}"
)


@dataclass
class DateOrderVote:
    """Evidence of the order of day and month, from all dates of a file."""

    day: bool = False
    month: bool = False

    def add(self, text: str) -> None:
        """Take a date into account. Texts that are not such dates prove nothing."""
        if (found := _SLASHED.fullmatch(text.strip()[:MAX_TEXT_LENGTH])) is None:
            return
        first, second = int(found["first"]), int(found["second_"])
        self.day = self.day or (first > 12 >= second)
        self.month = self.month or (second > 12 >= first)

    @property
    def order(self) -> DateOrder:
        """The order that the file proves, or empty."""
        if self.day == self.month:
            return ""
        return "day" if self.day else "month"


def read_date(value: object, zone: tzinfo, order: DateOrder = "") -> datetime:
    """Return the time of a date, with or without a time of the day, in UTC.

    A date alone means the end of that day, so that an email of the same day comes before the gift.

    Args:
        value: a text, or a date of a workbook.
        zone: time zone of dates without one.
        order: what comes first in a date with slashes.

    Raises:
        Unusable: the value is not a date, or ambiguous.
    """
    if isinstance(value, datetime):
        return _to_utc(_end_of_midnight(value), zone)
    if isinstance(value, date):
        return _to_utc(datetime.combine(value, LAST_SECOND), zone)
    if not isinstance(value, str) or len(value) > MAX_TEXT_LENGTH:
        raise Unusable(NOT_A_DATE)
    return _to_utc(_read_text(value.strip(), order), zone)


LAST_SECOND = time(23, 59, 59)


def _end_of_midnight(value: datetime) -> datetime:
    """Return the end of the day for midnight, because workbooks store a date as midnight."""
    is_date = value.tzinfo is None and value.time() == time()
    return datetime.combine(value.date(), LAST_SECOND) if is_date else value


def _read_text(text: str, order: DateOrder) -> datetime:
    if found := _POINTED.fullmatch(text):
        return _build(found, day=found["first"], month=found["second_"])
    if found := _YEAR_FIRST.fullmatch(text):
        return _build(found, day=found["second_"], month=found["first"])
    if found := _SLASHED.fullmatch(text):
        return _read_slashed(found, order)
    try:
        return _read_iso(text)
    except ValueError:
        raise Unusable(NOT_A_DATE) from None


def _read_iso(text: str) -> datetime:
    if len(text) == len("2026-11-28"):
        return datetime.combine(date.fromisoformat(text), LAST_SECOND)
    if not re.match(r"\d{4}-\d{2}-\d{2}[T ]", text):
        raise ValueError
    return datetime.fromisoformat(text)


def _read_slashed(found: re.Match[str], order: DateOrder) -> datetime:
    first, second = found["first"], found["second_"]
    if not order and first != second:
        raise Unusable(AMBIGUOUS)
    if order == "day":
        return _build(found, day=first, month=second)
    return _build(found, day=second, month=first)


def _build(found: re.Match[str], *, day: str, month: str) -> datetime:
    try:
        on = date(int(found["year"]), int(month), int(day))
        if found["hour"] is None:
            return datetime.combine(on, LAST_SECOND)
        return datetime.combine(on, _read_time(found))
    except ValueError:
        raise Unusable(NOT_A_DATE) from None


def _read_time(found: re.Match[str]) -> time:
    """Return the time of the day.

    Raises:
        ValueError: there is no such time.
    """
    hour, half = int(found["hour"]), (found["half"] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError
        hour = hour % 12 + (12 if half == "pm" else 0)
    return time(hour, int(found["minute"]), int(found["second"] or 0))


def _to_utc(value: datetime, zone: tzinfo) -> datetime:
    try:
        return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        raise Unusable(NOT_A_DATE) from None
