"""The first page: all fundraisers of the organization."""

from typing import Annotated, Literal, cast

import falcon
from pydantic import Field

from documents.reports.overview import FundraiserOrder, Overview, build_sparklines, list_fundraisers
from service.dashboard.page import HOME_PATH, page, public, redirect_to
from service.dashboard.presentation.csv_file import answer_csv
from service.dashboard.presentation.wording import format_amount
from service.dashboard.queries import PageQuery, Search, format_watch
from service.dashboard.render import language_for, render_page

FUNDRAISERS_A_PAGE, MAX_FUNDRAISERS_IN_CSV = 25, 10_000


class Root:
    """/, which leads browsers to the dashboard"""

    @public
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        redirect_to(resp, HOME_PATH)


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
        found = _found(req, query, (query.page - 1) * FUNDRAISERS_A_PAGE, FUNDRAISERS_A_PAGE)
        render_page(
            req,
            resp,
            "overview.html",
            query=query,
            found=found,
            pages=-(-found.count // FUNDRAISERS_A_PAGE),
            sparklines=build_sparklines(found.lines),
            watch=format_watch(
                new_fundraisers=[req.context.organization_id],
                fundraisers=(line.id for line in found.lines),
            ),
        )

    @page(query=OverviewQuery)
    def on_get_csv(self, req: falcon.Request, resp: falcon.Response, query: OverviewQuery) -> None:
        lines = _found(req, query, 0, MAX_FUNDRAISERS_IN_CSV).lines
        money = sorted({code for line in lines for code in line.raised}) or ["USD"]
        said = language_for(req).gettext
        header = [said("Fundraiser")]
        header += [said("Raised, %(currency)s") % {"currency": code} for code in money]
        header += [said("Share of goal"), said("Gifts"), said("Donors")]
        header += [said("Emails sent"), said("Conversion")]
        rows = [
            [
                line.name,
                *(format_amount(line.raised.get(code, 0), code) for code in money),
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
    return list_fundraisers(
        req.context.organization_id,
        sort=cast("FundraiserOrder", query.sort.removeprefix("-")),
        descending=query.sort.startswith("-"),
        search=query.q,
        skip=skip,
        limit=limit,
    )
