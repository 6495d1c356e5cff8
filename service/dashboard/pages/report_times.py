"""The times of a report's page: the chosen period, and figures at an earlier time."""

from datetime import datetime
from typing import Any

import falcon

from documents.fundraiser import Fundraiser
from documents.history.progress import find_history_start
from documents.mailing import Mailing
from documents.reports.figures import ReportFigures
from documents.reports.past_report import (
    build_past_fundraiser_report,
    build_past_mailing_report,
)
from documents.reports.report import build_fundraiser_report, build_mailing_report
from documents.values.fields import format_time
from service.dashboard.presentation import tables
from service.dashboard.presentation.csv_file import answer_csv
from service.dashboard.presentation.figures import build_template_values
from service.dashboard.presentation.language import marked
from service.dashboard.presentation.periods import (
    QUICK_PERIOD_LABELS,
    build_period_values,
    list_period_currencies,
)
from service.dashboard.render import formats_for, language_for, render_page
from service.dashboard.time_queries import (
    PeriodQuery,
    ReportTimeQuery,
    find_period_figures,
    format_as_of,
    format_query,
)

LATEST_LABEL = marked("Latest days with gifts")
MAX_MAILINGS_SHOWN = 1_000


def read_time_values(
    req: falcon.Request, of: Fundraiser | Mailing, query: PeriodQuery, kept: dict[str, str]
) -> dict[str, Any]:
    """Return what the template needs to show and choose times.

    Args:
        kept: other parameters of the page, which a choice of a period keeps.
    """
    formats = formats_for(req)
    figures = find_period_figures(of, query, formats.zone)
    named = None if query.first else query.period
    return {
        "period": build_period_values(figures, formats) if figures else None,
        "choices": [
            {"query": format_query(kept), "label": LATEST_LABEL, "is_current": figures is None},
            *(
                {
                    "query": format_query({**kept, "period": name}),
                    "label": label,
                    "is_current": name == named,
                }
                for name, label in QUICK_PERIOD_LABELS.items()
            ),
        ],
        "kept": kept,
        "time_query": format_query(query.period_fields),
        **build_earlier_values(of),
    }


def build_earlier_values(of: Fundraiser | Mailing, at: datetime | None = None) -> dict[str, Any]:
    """Return what the form for an earlier time needs.

    Args:
        at: the time that the page shows.
    """
    start = find_history_start(of)
    changes = f"/dashboard/fundraisers/{of.id}/changes" if isinstance(of, Fundraiser) else ""
    return {
        "as_of": at,
        "as_of_query": format_as_of(at),
        "history_start": start,
        "changes_at": changes and changes + format_query({"from": at and format_time(at)}),
    }


def show_past_report(
    req: falcon.Request, resp: falcon.Response, of: Fundraiser | Mailing, at: datetime
) -> None:
    """Answer with the page of a record as it stood at a time. The page has no live updates.

    Raises:
        Unacceptable: the figures of this time are not known.
    """
    is_mailing = isinstance(of, Mailing)
    render_page(
        req,
        resp,
        "past_report.html",
        of=of,
        fundraiser=Fundraiser.fetch(of.organization_id, of.fundraiser_id) if is_mailing else None,
        period=None,
        time_query=format_as_of(at),
        **build_earlier_values(of, at),
        **build_template_values(_build_report(of, at), formats_for(req)),
    )


def answer_report_csv(
    req: falcon.Request,
    resp: falcon.Response,
    of: Fundraiser | Mailing,
    table: str,
    query: ReportTimeQuery,
) -> None:
    """Answer with a table of a report. A period limits the table of amounts over time."""
    language, zone = language_for(req), formats_for(req).zone
    report = _build_report(of, query.find_as_of(zone))
    made = tables.REPORT_TABLES[table](report, language)
    if table == tables.RAISED_TABLE and (figures := find_period_figures(of, query, zone)):
        codes = list_period_currencies(figures)
        made = tables.build_day_table(figures["by_day"], codes, language)
    answer_csv(resp, f"{table}-{of.id}", made.header, made.rows)


def _build_report(of: Fundraiser | Mailing, at: datetime | None) -> ReportFigures:
    """Build the report at a time; None means now."""
    if isinstance(of, Mailing):
        return build_past_mailing_report(of, at) if at else build_mailing_report(of)
    if at:
        return build_past_fundraiser_report(of, at)
    return build_fundraiser_report(of, MAX_MAILINGS_SHOWN)
