"""A period for the pages: its charts, their table, and a comparison with earlier ones. Pure."""

from dataclasses import dataclass
from typing import Any

from documents.reports.figures import GiftSum
from documents.reports.periods import PeriodFigures
from documents.values.money import count_decimals
from service.dashboard.presentation import bars
from service.dashboard.presentation.formats import Formats
from service.dashboard.presentation.language import marked
from service.dashboard.presentation.raised_chart import MAX_CHARTS, draw_raised_chart

QUICK_PERIOD_LABELS = {
    "last_7_days": marked("Last 7 days"),
    "last_30_days": marked("Last 30 days"),
    "this_month": marked("This month"),
    "whole": marked("First to last gift"),
}
UNIT_LABELS = {
    "hour": marked("Hour"),
    "day": marked("Day"),
    "week": marked("Week"),
    "month": marked("Month"),
}
UNIT_TITLES = {
    "day": marked("%(currency)s by day"),
    "week": marked("%(currency)s by week"),
    "month": marked("%(currency)s by month"),
}
SAME = marked("No difference")


@dataclass(frozen=True)
class Compared:
    """A figure of an earlier period, and the difference of the chosen period from it."""

    value: str
    difference: str


@dataclass(frozen=True)
class ComparedRow:
    """A figure of the chosen period, the previous period and the same period a year ago."""

    label: str
    chosen: str
    previous: Compared
    year_before: Compared


def build_period_values(period: PeriodFigures, formats: Formats) -> dict[str, Any]:
    """Return what the template needs of a period."""
    unit = bars.choose_bar_unit((period["last"] - period["first"]).days + 1)
    weekday = formats.locale.first_week_day
    shown = bars.build_bars(period["by_day"], period["first"], period["last"], unit, weekday)
    currencies = list_period_currencies(period)
    charted = [code for code in currencies if count_decimals(code) is not None][:MAX_CHARTS]
    said = formats.language.gettext
    points = {
        code: [(bars.label_axis(bar, unit, formats), bar.raised[code]) for bar in shown]
        for code in charted
    }
    return {
        "first": period["first"],
        "last": period["last"],
        "unit": UNIT_LABELS[unit],
        "currencies": currencies,
        "charts": [
            (said(UNIT_TITLES[unit]) % {"currency": code}, draw_raised_chart(of, code, formats))
            for code, of in points.items()
        ],
        "times": [
            (bars.label_bar(bar, unit, formats), {"count": bar.gifts, "raised": bar.raised})
            for bar in shown
            if bar.gifts
        ],
        "is_cut": False,
        "comparison": _list_compared(period, formats),
        "dates": {
            name: formats.days(one["first"], one["last"], with_year=True)
            for name, one in _list_sums(period).items()
        },
    }


def list_period_currencies(period: PeriodFigures) -> list[str]:
    """Return the currencies of the period's gifts, the one of most days first."""
    days = [line["raised"] for line in period["by_day"]]
    return sorted(period["raised"], key=lambda code: (-sum(code in day for day in days), code))


def _list_sums(period: PeriodFigures) -> dict[str, Any]:
    return {
        "chosen": period,
        "previous": period["previous"],
        "year_before": period["year_before"],
    }


def _list_compared(period: PeriodFigures, formats: Formats) -> list[ComparedRow]:
    said, sums = formats.language.gettext, _list_sums(period)
    codes = sorted({code for one in sums.values() for code in one["raised"]})
    rows = [_compare(said("Gifts"), sums, "", formats)]
    return rows + [
        _compare(said("Raised, %(currency)s") % {"currency": code}, sums, code, formats)
        for code in codes
    ]


def _compare(label: str, sums: dict[str, Any], currency: str, formats: Formats) -> ComparedRow:
    """Compare an amount of money, or the number of gifts if the currency is blank."""
    chosen = _read(sums["chosen"], currency)
    previous, year_before = (
        Compared(
            _format(_read(sums[name], currency), currency, formats),
            _format_difference(chosen, _read(sums[name], currency), currency, formats),
        )
        for name in ("previous", "year_before")
    )
    return ComparedRow(label, _format(chosen, currency, formats), previous, year_before)


def _read(of: GiftSum, currency: str) -> int:
    return of["raised"].get(currency, 0) if currency else of["count"]


def _format(amount: int, currency: str, formats: Formats) -> str:
    return formats.money(amount, currency) if currency else formats.number(amount)


def _format_difference(chosen: int, earlier: int, currency: str, formats: Formats) -> str:
    """Return the difference with its sign, and as a share of the earlier figure if it has one."""
    difference = chosen - earlier
    if not difference:
        return formats.language.gettext(SAME)
    shown = formats.signed(difference, _format(difference, currency, formats))
    if earlier <= 0:
        return shown
    share = difference / earlier
    return f"{shown} ({formats.signed(share, formats.percent(share))})"
