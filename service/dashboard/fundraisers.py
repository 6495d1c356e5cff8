"""A fundraiser: its funnel, its money over time, its mailings side by side, its latest gifts."""

import falcon

from documents import gift_lines
from documents.fundraiser import Fundraiser
from documents.report import fundraiser_report
from service.dashboard import tables
from service.dashboard.csv_file import answer_csv
from service.dashboard.figures import shown
from service.dashboard.page import page
from service.dashboard.queries import watch
from service.dashboard.render import render

LATEST_GIFTS = 10
MAILINGS_WATCHED = 50


class FundraiserPages:
    """/dashboard/fundraisers/{id}, and its tables as CSV"""

    @page()
    def on_get(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        report = fundraiser_report(fundraiser)
        mailings = [line["id"] for line in report["mailings"]][:MAILINGS_WATCHED]
        render(
            req,
            resp,
            "fundraiser.html",
            fundraiser=fundraiser,
            gifts=gift_lines.latest(fundraiser.organization_id, fundraiser.id, LATEST_GIFTS),
            watch=watch(fundraisers=[fundraiser.id], mailings=mailings),
            **shown(report),
        )

    @page()
    def on_get_csv(self, req: falcon.Request, resp: falcon.Response, id: str, table: str) -> None:
        if table not in tables.TABLES:
            raise falcon.HTTPNotFound
        report = fundraiser_report(Fundraiser.fetch(req.context.organization_id, id))
        made = tables.TABLES[table](report)
        answer_csv(resp, f"{table}-{id}", made.header, made.rows)
