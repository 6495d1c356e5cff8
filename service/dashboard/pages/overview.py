"""The first page: all fundraisers of the organization."""

from typing import Annotated, Literal, cast

import falcon
from pydantic import Field

from documents.reports.overview import Order, Overview, overview, sparklines
from service.dashboard.page import HOME, go_to, page, public
from service.dashboard.presentation.csv_file import answer_csv
from service.dashboard.presentation.wording import units
from service.dashboard.queries import PageQuery, Search, watch
from service.dashboard.render import language_for, render

A_PAGE, IN_A_FILE = 25, 10_000


class Root:
    """/, which leads browsers to the dashboard"""

    @public
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        go_to(resp, HOME)


class OverviewQuery(PageQuery):
    sort: Literal[
        "name", "-name", "raised", "-raised", "goal", "-goal", "gifts", "-gifts",
        "sent", "-sent", "conversion", "-conversion", "created", "-created",
    ] = "-created"  # fmt: skip
    q: Search = ""
    page: Annotated[int, Field(ge=1, le=1000)] = 1


class OverviewPages:
    """/dashboard, and /dashboard/fundraisers.csv"""

    @page(query=OverviewQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: OverviewQuery) -> None:
        found = _found(req, query, (query.page - 1) * A_PAGE, A_PAGE)
        render(
            req,
            resp,
            "overview.html",
            query=query,
            found=found,
            pages=-(-found.count // A_PAGE),
            sparklines=sparklines(found.lines),
            watch=watch(
                new_fundraisers=[req.context.organization_id],
                fundraisers=(line.id for line in found.lines),
            ),
        )

    @page(query=OverviewQuery)
    def on_get_csv(self, req: falcon.Request, resp: falcon.Response, query: OverviewQuery) -> None:
        lines = _found(req, query, 0, IN_A_FILE).lines
        money = sorted({code for line in lines for code in line.raised}) or ["USD"]
        said = language_for(req).gettext
        header = [said("Fundraiser")]
        header += [said("Raised, %(currency)s") % {"currency": code} for code in money]
        header += [said("Share of goal"), said("Gifts"), said("Donors")]
        header += [said("Emails sent"), said("Conversion")]
        rows = [
            [
                line.name,
                *(units(line.raised.get(code, 0), code) for code in money),
                line.reached,
                line.gifts,
                line.donors,
                line.sent,
                line.conversion,
            ]
            for line in lines
        ]
        answer_csv(resp, "fundraisers", header, rows)


def _found(req: falcon.Request, query: OverviewQuery, skip: int, limit: int) -> Overview:
    return overview(
        req.context.organization_id,
        sort=cast("Order", query.sort.removeprefix("-")),
        descending=query.sort.startswith("-"),
        search=query.q,
        skip=skip,
        limit=limit,
    )
