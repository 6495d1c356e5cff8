"""The page of a fundraiser: its funnel, amounts over time, mailings and latest gifts."""

from typing import Literal

import falcon

from documents.fundraiser import Fundraiser
from documents.reports import gift_lines
from documents.reports.report import build_fundraiser_report
from documents.values.attributes import MAILBOX_PROVIDER, AttributeName
from service.dashboard.page import page
from service.dashboard.pages.digests import read_digest_values
from service.dashboard.pages.report_times import (
    MAX_MAILINGS_SHOWN,
    answer_report_csv,
    read_time_values,
    show_past_report,
)
from service.dashboard.presentation import tables
from service.dashboard.presentation.figures import build_template_values
from service.dashboard.queries import format_watch
from service.dashboard.render import formats_for, render_page
from service.dashboard.time_queries import ReportTimeQuery

MAX_LATEST_GIFTS = 10
DEFAULT_MAILINGS_SHOWN, MAX_MAILINGS_WATCHED = 25, 50


class FundraiserPageQuery(ReportTimeQuery):
    by: AttributeName = MAILBOX_PROVIDER
    mailings: Literal["", "all"] = ""
    done: Literal["", "digest"] = ""


class FundraiserPages:
    """/dashboard/fundraisers/{id}, and its tables as CSV"""

    @page(query=FundraiserPageQuery)
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: FundraiserPageQuery
    ) -> None:
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        if (at := query.find_as_of(formats_for(req).zone)) is not None:
            show_past_report(req, resp, fundraiser, at)
            return
        most = MAX_MAILINGS_SHOWN if query.mailings == "all" else DEFAULT_MAILINGS_SHOWN
        report = build_fundraiser_report(fundraiser, most, query.by)
        mailings = [line["id"] for line in report["mailings"]][:MAX_MAILINGS_WATCHED]
        render_page(
            req,
            resp,
            "fundraiser.html",
            fundraiser=fundraiser,
            query=query,
            **read_digest_values(req.context.staff, fundraiser),
            gifts=gift_lines.list_latest_gifts(
                fundraiser.organization_id, fundraiser.id, MAX_LATEST_GIFTS
            ),
            watch=format_watch(
                fundraisers=[fundraiser.id],
                new_mailings=[fundraiser.organization_id],
                mailings=mailings,
            ),
            **read_time_values(req, fundraiser, query, _list_kept(query)),
            **build_template_values(report, formats_for(req)),
        )

    @page(query=ReportTimeQuery)
    def on_get_csv(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        id: str,
        table: str,
        query: ReportTimeQuery,
    ) -> None:
        if table not in tables.REPORT_TABLES:
            raise falcon.HTTPNotFound
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        answer_report_csv(req, resp, fundraiser, table, query)


def _list_kept(query: FundraiserPageQuery) -> dict[str, str]:
    by = query.by if query.by != MAILBOX_PROVIDER else ""
    return {"by": by, "mailings": query.mailings}
