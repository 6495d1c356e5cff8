"""Fundraisers: causes and campaigns for which an organization raises money."""

from typing import Literal

import falcon
from pydantic import MISSING

from documents.fundraiser import Fundraiser
from documents.removal import remove_record
from documents.reports.past_report import build_past_fundraiser_report
from documents.reports.report import build_fundraiser_report
from service.api.fields import Id, ListQuery, Money, Name, RequestModel, ResponseModel, Time, Totals
from service.api.operation import answer_created, answer_model, answer_page, operation
from service.api.resources.report_query import ReportQuery, read_period
from service.api.resources.reports import Report, answer_report


class FundraiserPatch(RequestModel):
    name: Name | MISSING = MISSING
    goal: Money | None = None
    starts_at: Time | None = None
    ends_at: Time | None = None


class FundraiserIn(FundraiserPatch):
    name: Name


class FundraiserOut(ResponseModel):
    id: Id
    name: str
    goal: Money | None
    starts_at: Time | None
    ends_at: Time | None
    emails_count: int
    donations_count: int
    raised: Totals
    created_at: Time
    updated_at: Time


class FundraiserList(ResponseModel):
    data: list[FundraiserOut]
    next_cursor: str | None


class FundraiserQuery(ListQuery):
    name: Name | MISSING = MISSING
    sort: Literal[
        "created_at",
        "-created_at",
        "name",
        "-name",
        "donations_count",
        "-donations_count",
        "emails_count",
        "-emails_count",
    ] = "-created_at"


class Fundraisers:
    """/v1/fundraisers, /v1/fundraisers/{id} and /v1/fundraisers/{id}/report"""

    @operation(
        "List fundraisers", scope="read", query=FundraiserQuery, answers={200: FundraiserList}
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: FundraiserQuery) -> None:
        answer_page(req, resp, Fundraiser, FundraiserOut, query)

    @operation(
        "Create a fundraiser", scope="write", body=FundraiserIn, answers={201: FundraiserOut}
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response, body: FundraiserIn) -> None:
        fundraiser = Fundraiser.create(
            req.context.organization_id, body.model_dump(), req.context.record_id
        )
        answer_created(req, resp, FundraiserOut, fundraiser)

    @operation("Get a fundraiser", scope="read", answers={200: FundraiserOut})
    def on_get_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        answer_model(resp, FundraiserOut, Fundraiser.fetch(req.context.organization_id, id))

    @operation(
        "Update a fundraiser",
        scope="write",
        body=FundraiserPatch,
        answers={200: FundraiserOut},
        problems=(409,),
    )
    def on_patch_one(
        self, req: falcon.Request, resp: falcon.Response, id: str, body: FundraiserPatch
    ) -> None:
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        answer_model(resp, FundraiserOut, fundraiser.amend(body.model_dump(exclude_unset=True)))

    @operation("Delete a fundraiser", scope="write", answers={204: None}, problems=(409,))
    def on_delete_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        remove_record(Fundraiser.fetch(req.context.organization_id, id))
        resp.status = 204

    @operation("Get a fundraiser report", scope="read", query=ReportQuery, answers={200: Report})
    def on_get_report(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: ReportQuery
    ) -> None:
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        period = read_period(fundraiser, query)
        if query.as_of is MISSING:
            answer_report(resp, build_fundraiser_report(fundraiser, by=query.attribute), period)
        else:
            answer_report(resp, build_past_fundraiser_report(fundraiser, query.as_of), None)
