"""Numbers, money and times in the formats of a language and a time zone. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import DateTimePattern, format_interval, format_timedelta, parse_pattern

from documents.values.money import count_decimals
from service.dashboard.presentation.language import Language
from service.dashboard.presentation.number_formats import (
    NO_BREAK_SPACE,
    TEXTS_KEPT,
    format_money,
    format_number,
    format_percent,
    format_short_money,
)

NONE = "–"
RIGHT_TO_LEFT, END = "\N{RIGHT-TO-LEFT ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
YEAR_AT_END = re.compile(r"(,| 'de'| 'del')? y$")
NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"


class Formats:
    """The formats of a language's locale, and the time zone in which times are shown."""

    def __init__(self, language: Language, zone: ZoneInfo) -> None:
        self.language = language
        self.locale = locale = language.locale
        self.zone = zone
        dates, times = locale.date_formats, locale.time_formats
        day, month_day = dates["medium"].pattern, locale.datetime_skeletons["MMMd"].pattern
        minute, second = times["short"].pattern, times["medium"].pattern
        self._date, self._day = parse_pattern(day), parse_pattern(month_day)
        self._month = parse_pattern(locale.datetime_skeletons["yMMM"].pattern)
        self._full_day = parse_pattern(dates["full"].pattern)
        weekday = YEAR_AT_END.sub("", dates["full"].pattern)
        self._weekday = self._full_day if "G" in weekday else parse_pattern(weekday)
        self._moment = self._joined(day, minute)
        self._second = self._joined(day, second)
        is_half_day = minute.startswith(("h", "K"))  # 12-hour clock
        hour = locale.datetime_skeletons["h"].pattern if is_half_day else minute
        self._hour = self._joined(month_day, hour)

    @property
    def tag(self) -> str:
        """The BCP 47 tag of the formats."""
        return str(self.locale).replace("_", "-")

    def _joined(self, day: str, time: str) -> DateTimePattern:
        glue: str = self.locale.datetime_formats["medium"]
        # CLDR's narrow space glues 1:22 and AM together in many fonts.
        return parse_pattern(glue.format(time, day).replace(NARROW_SPACE, NO_BREAK_SPACE))

    def number(self, value: int | float | None) -> str:
        """Format a number, as 12,345."""
        return NONE if value is None else format_number(self.locale, value)

    def axis(self, value: float) -> str:
        """Format a number at a chart's axis, which has at most two decimals."""
        return self.number(int(value) if value == int(value) else round(value, 2))

    def percent(self, fraction: float | None) -> str:
        """Format a fraction, as 12.3%."""
        return NONE if fraction is None else format_percent(self.locale, fraction)

    def fine_percent(self, fraction: float) -> str:
        """Format a small fraction, as 0.35%."""
        return format_percent(self.locale, fraction, 2)

    def share(self, fraction: float | None) -> str:
        """Format a part of a whole, as 12.3%.

        Show no share above 1, because its denominator lacks data, such as reports of deliveries.
        """
        return self.percent(fraction) if fraction is not None and fraction <= 1 else NONE

    def money(self, amount: int | float | None, currency: str) -> str:
        """Format minor units, as $1,234.56. Round fractions of a minor unit."""
        if amount is None:
            return NONE
        if count_decimals(currency) is None:
            said = self.language.gettext("%(amount)s minor units of %(currency)s")
            return said % {"amount": self.number(round(amount)), "currency": currency}
        return format_money(self.locale, amount, currency)

    def signed(self, value: int | float, shown: str) -> str:
        """Put a plus sign before the text of a positive difference, as +$5.00."""
        return f"+{shown}" if value > 0 else shown

    def short_money(self, amount: int, currency: str) -> str:
        """Format money for a title, as $1,234 or $1,234.56."""
        if count_decimals(currency) is None:
            return self.money(amount, currency)
        return format_short_money(self.locale, amount, currency)

    def totals(self, amounts: Mapping[str, int | float | None]) -> list[str]:
        """Format money by currency, one text for each currency."""
        return [self.money(amount, code) for code, amount in sorted(amounts.items())]

    def whole_day(self, time: datetime) -> str:
        """Format a day, as Nov 28, 2026."""
        return self._applied(self._date, time)

    def moment(self, time: datetime) -> str:
        """Format a time, as Nov 28, 2026, 1:22 AM."""
        return self._applied(self._moment, time)

    def second(self, time: datetime) -> str:
        """Format a time with seconds, for things that happen within one minute."""
        return self._applied(self._second, time)

    def hour(self, time: datetime) -> str:
        """Format an hour without its year, as Nov 28, 1 AM."""
        return self._applied(self._hour, time)

    def day(self, value: date) -> str:
        """Format a day without its year, as Nov 28."""
        return self._isolated(self._day.apply(value, self.locale))

    def dated(self, value: date) -> str:
        """Format a day with its year, as Nov 28, 2026."""
        return self._isolated(self._date.apply(value, self.locale))

    def month(self, value: date) -> str:
        """Format a month, as Nov 2026."""
        return self._isolated(self._month.apply(value, self.locale))

    def weekday(self, value: date) -> str:
        """Format a day as Friday, November 27; with its year if the locale puts this first."""
        return self._isolated(self._weekday.apply(value, self.locale))

    def full_day(self, value: date) -> str:
        """Format a day, as Friday, November 27, 2026."""
        return self._isolated(self._full_day.apply(value, self.locale))

    def days(self, first: date, last: date, *, with_year: bool) -> str:
        """Format a range of days, as Nov 23 to 29, 2026, or without the year."""
        skeleton = "yMMMd" if with_year else "MMMd"
        text: str = format_interval(first, last, skeleton, locale=self.locale)
        return self._isolated(text.replace("\N{THIN SPACE}", " "))

    def duration(self, seconds: float) -> str:
        """Format a duration in one unit, as 2 minutes."""
        return format_timedelta(timedelta(seconds=round(seconds)), locale=self.language.words)

    def _applied(self, pattern: DateTimePattern, time: datetime) -> str:
        return self._isolated(_time(self, pattern, time))

    def _isolated(self, text: str) -> str:
        """Keep a date that runs from right to left in order within a page that does not."""
        return f"{RIGHT_TO_LEFT}{text}{END}" if self.locale.text_direction == "rtl" else text


@lru_cache(256)
def formats_of(language: Language, zone: ZoneInfo) -> Formats:
    """Return the formats, which Babel parses once for each language and time zone."""
    return Formats(language, zone)


def iso(time: datetime) -> str:
    """Format a time for programs: the `datetime` of a time element."""
    return time.astimezone(UTC).isoformat(timespec="seconds")


@lru_cache(TEXTS_KEPT)
def _time(formats: Formats, pattern: DateTimePattern, time: datetime) -> str:
    return pattern.apply(time.astimezone(formats.zone), formats.locale)
