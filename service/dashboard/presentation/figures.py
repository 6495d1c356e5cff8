"""A report as pages of fundraisers and mailings show it: figures, tables, and one chart."""

from typing import Any

from documents.reports.figures import Report
from documents.values.money import count_decimals, to_major_units
from service.dashboard.presentation import charts, tables, time_axis
from service.dashboard.presentation.wording import format_money

MAX_CHARTS = 3


def build_template_values(report: Report) -> dict[str, Any]:
    """What the templates take of a report."""
    return {
        "report": report,
        "stages": tables.build_funnel_stages(report),
        "currencies": tables.list_currencies(report),
        "over_time": tables.build_raised_table(report),
        "charts": [(code, _over_time(report, code)) for code in _charted(report)],
        "top_value": _most_valuable(report),
    }


def _charted(report: Report) -> list[str]:
    """Return the currencies that have a chart; the table beside them has all."""
    known = [code for code in tables.list_currencies(report) if count_decimals(code) is not None]
    return known[:MAX_CHARTS] if report["by_day"] else []


def _over_time(report: Report, currency: str) -> Any:
    if tables.is_by_day(report):
        points = time_axis.list_day_points(report["by_day"], currency)
    else:
        points = time_axis.list_hour_points(report["by_hour"], currency)
    label, most = max(points, key=lambda point: point[1])
    return charts.draw_bars(
        f"Raised over time, {currency}",
        f"{points[0][0]} to {points[-1][0]}; the most, {format_money(most, currency)}, on {label}",
        tuple(label for label, _ in points),
        tuple(to_major_units(amount, currency) or 0 for _, amount in points),
    )


def _most_valuable(report: Report) -> dict[str, float]:
    """By currency, the most that a mailing raised for each email: what bars are as long as."""
    most: dict[str, float] = {}
    for line in report["mailings"]:
        for code, value in line["raised_per_email"].items():
            most[code] = max(most.get(code, 0), value or 0)
    return most
