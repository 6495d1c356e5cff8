"""Reports for the pages of fundraisers and mailings: figures, tables and charts."""

from typing import Any

from documents.reports.figures import GiftSum, ReportFigures
from documents.reports.report_figures import MAX_SHOWN_DAYS
from documents.values.money import count_decimals
from service.dashboard.presentation import tables, time_axis
from service.dashboard.presentation.formats import Formats
from service.dashboard.presentation.hours import list_hour_rows
from service.dashboard.presentation.language import marked
from service.dashboard.presentation.periods import UNIT_LABELS
from service.dashboard.presentation.raised_chart import MAX_CHARTS, draw_raised_chart

LATEST_TITLES = {True: marked("%(currency)s by day"), False: marked("%(currency)s by hour")}


def build_template_values(report: ReportFigures, formats: Formats) -> dict[str, Any]:
    """Return what the templates need of a report."""
    return {
        "report": report,
        "stages": tables.build_funnel_stages(report),
        "over_time": _build_latest(report, formats),
        "hours": list_hour_rows(report["hours_to_gift"], formats),
        "top_value": _most_valuable(report),
    }


def _build_latest(report: ReportFigures, formats: Formats) -> dict[str, Any]:
    """Return the charts and the table of the latest days, in the form that a period has, too."""
    is_by_day = tables.is_by_day(report)
    title = formats.language.gettext(LATEST_TITLES[is_by_day])
    return {
        "unit": UNIT_LABELS["day" if is_by_day else "hour"],
        "currencies": tables.list_currencies(report),
        "charts": [
            (title % {"currency": code}, _over_time(report, code, formats))
            for code in _charted(report)
        ],
        "times": _times(report, formats),
        "is_cut": is_by_day and len(report["by_day"]) == MAX_SHOWN_DAYS,
        "comparison": [],
    }


def _times(report: ReportFigures, formats: Formats) -> list[tuple[str, GiftSum]]:
    if tables.is_by_day(report):
        return [(formats.day(line["day"]), line) for line in report["by_day"]]
    return [(formats.hour(line["hour"]), line) for line in report["by_hour"]]


def _charted(report: ReportFigures) -> list[str]:
    """Return the currencies that have a chart. The table next to the charts has all."""
    known = [code for code in tables.list_currencies(report) if count_decimals(code) is not None]
    return known[:MAX_CHARTS] if report["by_day"] else []


def _over_time(report: ReportFigures, currency: str, formats: Formats) -> Any:
    if tables.is_by_day(report):
        points = time_axis.list_day_points(report["by_day"], currency, formats)
    else:
        points = time_axis.list_hour_points(report["by_hour"], currency, formats)
    return draw_raised_chart(points, currency, formats)


def _most_valuable(report: ReportFigures) -> dict[str, float]:
    """Return the largest amount raised per email, by currency: the full length of a bar."""
    most: dict[str, float] = {}
    for line in report["mailings"]:
        for code, value in line["raised_per_email"].items():
            most[code] = max(most.get(code, 0), value or 0)
    return most
