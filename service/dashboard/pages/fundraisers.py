"""The page of a fundraiser: its funnel, amounts over time, mailings and latest gifts."""

from typing import Literal

import falcon

from documents.fundraiser import Fundraiser
from documents.reports import gift_lines
from documents.reports.report import fundraiser_report
from service.dashboard.page import page
from service.dashboard.presentation import tables
from service.dashboard.presentation.csv_file import answer_csv
from service.dashboard.presentation.figures import shown
from service.dashboard.queries import PageQuery, watch
from service.dashboard.render import formats_for, language_for, render

LATEST_GIFTS = 10
MAILINGS_SHOWN, MAILINGS_IN_ALL, MAILINGS_WATCHED = 25, 1_000, 50


class FundraiserQuery(PageQuery):
    mailings: Literal["", "all"] = ""


class FundraiserPages:
    """/dashboard/fundraisers/{id}, and its tables as CSV"""

    @page(query=FundraiserQuery)
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: FundraiserQuery
    ) -> None:
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        most = MAILINGS_IN_ALL if query.mailings == "all" else MAILINGS_SHOWN
        report = fundraiser_report(fundraiser, most)
        mailings = [line["id"] for line in report["mailings"]][:MAILINGS_WATCHED]
        render(
            req,
            resp,
            "fundraiser.html",
            fundraiser=fundraiser,
            more_mailings=len(report["mailings"]) == most,
            gifts=gift_lines.latest(fundraiser.organization_id, fundraiser.id, LATEST_GIFTS),
            watch=watch(
                fundraisers=[fundraiser.id],
                new_mailings=[fundraiser.organization_id],
                mailings=mailings,
            ),
            **shown(report, formats_for(req)),
        )

    @page()
    def on_get_csv(self, req: falcon.Request, resp: falcon.Response, id: str, table: str) -> None:
        if table not in tables.TABLES:
            raise falcon.HTTPNotFound
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        report = fundraiser_report(fundraiser, MAILINGS_IN_ALL)
        made = tables.TABLES[table](report, language_for(req))
        answer_csv(resp, f"{table}-{id}", made.header, made.rows)
