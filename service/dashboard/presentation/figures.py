"""Reports for the pages of fundraisers and mailings: figures, tables and charts."""

from typing import Any

from documents.reports.figures import GiftSum, Report
from documents.values.money import count_decimals, to_major_units
from service.dashboard.presentation import charts, tables, time_axis
from service.dashboard.presentation.formats import Formats

MAX_CHARTS = 3


def build_template_values(report: Report, formats: Formats) -> dict[str, Any]:
    """Return what the templates need of a report."""
    return {
        "report": report,
        "stages": tables.build_funnel_stages(report),
        "currencies": tables.list_currencies(report),
        "by_day": tables.is_by_day(report),
        "times": _times(report, formats),
        "charts": [(code, _over_time(report, code, formats)) for code in _charted(report)],
        "top_value": _most_valuable(report),
    }


def _times(report: Report, formats: Formats) -> list[tuple[str, GiftSum]]:
    if tables.is_by_day(report):
        return [(formats.day(line["day"]), line) for line in report["by_day"]]
    return [(formats.hour(line["hour"]), line) for line in report["by_hour"]]


def _charted(report: Report) -> list[str]:
    """Return the currencies that have a chart. The table next to the charts has all."""
    known = [code for code in tables.list_currencies(report) if count_decimals(code) is not None]
    return known[:MAX_CHARTS] if report["by_day"] else []


def _over_time(report: Report, currency: str, formats: Formats) -> Any:
    if tables.is_by_day(report):
        points = time_axis.list_day_points(report["by_day"], currency, formats)
    else:
        points = time_axis.list_hour_points(report["by_hour"], currency, formats)
    label, most = max(points, key=lambda point: point[1])
    said = formats.language.gettext
    description = said("%(first)s to %(last)s. Maximum: %(amount)s, %(time)s")
    return charts.draw_bars(
        said("Raised over time, %(currency)s") % {"currency": currency},
        description
        % {
            "first": points[0][0],
            "last": points[-1][0],
            "amount": formats.money(most, currency),
            "time": label,
        },
        tuple(label for label, _ in points),
        tuple(to_major_units(amount, currency) or 0 for _, amount in points),
        formats,
    )


def _most_valuable(report: Report) -> dict[str, float]:
    """Return the largest amount raised per email, by currency: the full length of a bar."""
    most: dict[str, float] = {}
    for line in report["mailings"]:
        for code, value in line["raised_per_email"].items():
            most[code] = max(most.get(code, 0), value or 0)
    return most
