"""Lists of gifts, changes and recipients as files, with the filters of their pages."""

from collections.abc import Iterator
from typing import Any, Literal

import falcon
from pydantic import BaseModel

from documents.donation import Donation
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.reports.change_lines import list_all_change_lines
from documents.reports.gift_lines import GiftLine, describe_gifts
from documents.reports.recipients import list_all_recipients
from documents.storage.pagination import list_all_pages
from documents.user import User
from service.api.audited import audit_request
from service.api.exports import answer_download
from service.dashboard.page import page
from service.dashboard.pages.changes import ChangeFileQuery, read_change_times
from service.dashboard.presentation.changes import build_change_table
from service.dashboard.presentation.list_files import LIST_FORMATS
from service.dashboard.presentation.lists import (
    ListTable,
    build_gift_table,
    build_recipient_table,
)
from service.dashboard.queries import ArmFilter, PageQuery, Search
from service.dashboard.render import formats_for, language_for

GIFTS_A_PIECE = 200


class GiftFileQuery(PageQuery):
    match: Literal["none", "link", "address", "pinned", "all"] = "none"


class RecipientFileQuery(PageQuery):
    did: Literal["", "opened", "clicked", "gave", "bounced", "left"] = ""
    q: Search = ""
    arm: ArmFilter = ""


class ListFiles:
    """/dashboard/gifts.csv and other lists, in one file format."""

    def __init__(self, extension: str) -> None:
        self._extension = extension

    @page(query=GiftFileQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: GiftFileQuery) -> None:
        filters = {} if query.match == "all" else {"match": query.match}
        self._answer(req, resp, "gifts", _gift_table(req, filters), query=query)

    @page()
    def on_get_fundraiser(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        table = _gift_table(req, {"fundraiser_id": fundraiser.id})
        self._answer(req, resp, f"gifts-{id}", table, id_=id)

    @page(query=ChangeFileQuery)
    def on_get_changes(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: ChangeFileQuery
    ) -> None:
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        times = read_change_times(req, fundraiser, query)
        pages = list_all_change_lines(fundraiser, *times, limit=GIFTS_A_PIECE)
        table = build_change_table(pages, language_for(req))
        self._answer(req, resp, f"changes-{id}", table, query=query, id_=id)

    @page()
    def on_get_person(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        user = User.fetch(req.context.organization_id, id)
        table = _gift_table(req, {"user_id": user.id})
        self._answer(req, resp, f"gifts-{id}", table, id_=id)

    @page(query=RecipientFileQuery)
    def on_get_mailing(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: RecipientFileQuery
    ) -> None:
        mailing = Mailing.fetch(req.context.organization_id, id)
        pages = list_all_recipients(
            mailing, did=query.did or None, search=query.q, arm=query.arm or None
        )
        table = build_recipient_table(
            pages,
            sorted(mailing.raised or {}),
            language_for(req),
            has_arms=mailing.experiment is not None,
        )
        self._answer(req, resp, f"recipients-{id}", table, query=query, id_=id)

    def _answer(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        name: str,
        table: ListTable,
        *,
        query: BaseModel | None = None,
        id_: str | None = None,
    ) -> None:
        media_type, write = LIST_FORMATS[self._extension]
        resp.content_type = media_type
        pieces = write(table, formats_for(req).zone)
        file_name = f"{name}.{self._extension}"
        if getattr(req.context, "is_head", False):
            answer_download(req, resp, pieces, file_name)
            return
        filters = query.model_fields_set if query else ()
        with audit_request(req, resp, id_, filters):
            answer_download(req, resp, pieces, file_name)


def _gift_table(req: falcon.Request, filters: dict[str, Any]) -> ListTable:
    return build_gift_table(
        _list_gifts(req.context.organization_id, Donation.filters(filters)), language_for(req)
    )


def _list_gifts(organization_id: Any, filters: dict[str, Any]) -> Iterator[list[GiftLine]]:
    for gifts in list_all_pages(Donation, organization_id, filters=filters, limit=GIFTS_A_PIECE):
        yield describe_gifts(organization_id, gifts)


def list_file_routes(extension: str) -> tuple[tuple[str, object, str | None], ...]:
    """Return the routes of the lists that pages offer as files in this format."""
    files = ListFiles(extension)
    return (
        (f"/dashboard/gifts.{extension}", files, None),
        (f"/dashboard/fundraisers/{{id}}/gifts.{extension}", files, "fundraiser"),
        (f"/dashboard/fundraisers/{{id}}/changes.{extension}", files, "changes"),
        (f"/dashboard/mailings/{{id}}/recipients.{extension}", files, "mailing"),
        (f"/dashboard/people/{{id}}/gifts.{extension}", files, "person"),
    )
