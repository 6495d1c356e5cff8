"""Mailings: one send of one message to many users."""

from typing import Any, Literal

import falcon
from pydantic import MISSING, Field

from documents.link import Link
from documents.mailing import Mailing
from documents.removal import remove_record
from documents.reports.past_report import build_past_mailing_report
from documents.reports.report import build_mailing_report
from service.api.fields import (
    Id,
    ListQuery,
    Money,
    Name,
    RequestModel,
    ResponseModel,
    Text,
    Time,
    Totals,
)
from service.api.operation import answer_created, answer_model, answer_page, operation
from service.api.resources.report_query import ReportQuery, read_period
from service.api.resources.reports import Report, answer_report


class MailingPatch(RequestModel):
    name: Name | MISSING = MISSING
    subject: Text | None = None
    sent_at: Time | None = None
    cost: Money | None = None


class MailingIn(MailingPatch):
    fundraiser_id: Id
    name: Name


class MailingOut(ResponseModel):
    id: Id
    fundraiser_id: Id
    name: str
    subject: str | None
    sent_at: Time | None
    cost: Money | None = Field(validation_alias="price")
    emails_count: int
    donations_count: int
    raised: Totals
    created_at: Time
    updated_at: Time


class MailingList(ResponseModel):
    data: list[MailingOut]
    next_cursor: str | None


class MailingQuery(ListQuery):
    name: Name | MISSING = MISSING
    fundraiser_id: Id | MISSING = MISSING
    sort: Literal[
        "created_at",
        "-created_at",
        "name",
        "-name",
        "sent_at",
        "-sent_at",
        "donations_count",
        "-donations_count",
        "emails_count",
        "-emails_count",
    ] = "-created_at"


class LinkOut(ResponseModel):
    """A link in the message, without recipient data. `clicks` excludes machine clicks."""

    id: Id
    url: str
    emails: int
    clicks: int
    machine_clicks: int


class LinkList(ResponseModel):
    data: list[LinkOut]
    next_cursor: str | None


class LinkQuery(ListQuery):
    sort: Literal["emails", "-emails", "clicks", "-clicks"] = "-emails"


class Mailings:
    """/v1/mailings, /v1/mailings/{id} and /v1/mailings/{id}/report"""

    @operation("List mailings", scope="read", query=MailingQuery, answers={200: MailingList})
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: MailingQuery) -> None:
        answer_page(req, resp, Mailing, MailingOut, query)

    @operation("Create a mailing", scope="write", body=MailingIn, answers={201: MailingOut})
    def on_post(self, req: falcon.Request, resp: falcon.Response, body: MailingIn) -> None:
        mailing = Mailing.create(
            req.context.organization_id, body.model_dump(), req.context.record_id
        )
        answer_created(req, resp, MailingOut, mailing)

    @operation("Get a mailing", scope="read", answers={200: MailingOut})
    def on_get_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        answer_model(resp, MailingOut, Mailing.fetch(req.context.organization_id, id))

    @operation(
        "List a mailing's clicked links",
        scope="read",
        query=LinkQuery,
        answers={200: LinkList},
    )
    def on_get_links(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: LinkQuery
    ) -> None:
        mailing = Mailing.fetch(req.context.organization_id, id)
        answer_page(req, resp, Link, LinkOut, query, mailing_id=mailing.id)

    @operation(
        "Update a mailing",
        scope="write",
        body=MailingPatch,
        answers={200: MailingOut},
        problems=(409,),
    )
    def on_patch_one(
        self, req: falcon.Request, resp: falcon.Response, id: str, body: MailingPatch
    ) -> None:
        mailing = Mailing.fetch(req.context.organization_id, id)
        changes: dict[str, Any] = body.model_dump(exclude_unset=True)
        answer_model(resp, MailingOut, mailing.amend(changes))

    @operation("Delete a mailing", scope="write", answers={204: None}, problems=(409,))
    def on_delete_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        remove_record(Mailing.fetch(req.context.organization_id, id))
        resp.status = 204

    @operation("Get a mailing report", scope="read", query=ReportQuery, answers={200: Report})
    def on_get_report(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: ReportQuery
    ) -> None:
        mailing = Mailing.fetch(req.context.organization_id, id)
        period = read_period(mailing, query)
        if query.as_of is MISSING:
            answer_report(resp, build_mailing_report(mailing, by=query.attribute), period)
        else:
            answer_report(resp, build_past_mailing_report(mailing, query.as_of), None)
