"""Gifts, those without an email first, and the form that pins a gift to an email."""

from typing import Annotated, Any, Literal

import falcon
from pydantic import Field

from documents.donation import Donation
from documents.email import Email
from documents.errors import NotFound
from documents.fundraiser import Fundraiser
from documents.matching.past_match import PastMatch
from documents.payments.payment import Payment
from documents.reports import gift_lines
from documents.storage.pagination import InvalidCursor
from documents.storage.pagination import list_page as page_of
from service.api.parsing import bad_request
from service.dashboard.forms import Form
from service.dashboard.page import form, page, redirect_to
from service.dashboard.presentation.language import marked
from service.dashboard.presentation.wording import MATCH_LABELS
from service.dashboard.queries import BAD_PAGE, Cursor, PageQuery, Search, format_watch
from service.dashboard.render import render_page

LISTED_GIFTS_A_PAGE = 50
MAX_UNASSIGNED_COUNT = 100
OPTIONAL_ID_PATTERN = "^([0-9a-f]{24})?$"
MATCH_TABS = {name: MATCH_LABELS[name] for name in ("none", "link", "address", "pinned")}
MATCH_TABS |= {"all": marked("All")}
NO_EMAIL_CHOICE = "none"
DONE = {
    "pinned": marked("Email set."),
    "unpinned": marked("Choice removed. The match rules apply again."),
}
NOTHING_CHOSEN = marked("Choose an email, or “No email led to this gift”.")


class GiftQuery(PageQuery):
    match: Literal["none", "link", "address", "pinned", "all"] = "none"
    fundraiser: Annotated[str, Field(pattern=OPTIONAL_ID_PATTERN)] = ""
    cursor: Cursor | None = None


class GiftPageQuery(PageQuery):
    done: Literal["", "pinned", "unpinned"] = ""
    q: Search = ""


class Gifts:
    """/dashboard/gifts, /dashboard/gifts/{id} and /dashboard/gifts/{id}/pin"""

    @page(query=GiftQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: GiftQuery) -> None:
        organization_id = req.context.organization_id
        filters: dict[str, Any] = {} if query.match == "all" else {"match": query.match}
        fundraiser = None
        if query.fundraiser:
            fundraiser = Fundraiser.fetch(organization_id, query.fundraiser)
            filters["fundraiser_id"] = fundraiser.id
        try:
            found = page_of(
                Donation,
                organization_id,
                filters=filters,
                sort="-_id",
                limit=LISTED_GIFTS_A_PAGE,
                cursor=query.cursor,
            )
        except InvalidCursor:
            raise bad_request(BAD_PAGE) from None
        gifts = gift_lines.describe_gifts(organization_id, found.records)
        render_page(
            req,
            resp,
            "gifts.html",
            gifts=gifts,
            query=query,
            fundraiser=fundraiser,
            tabs=MATCH_TABS,
            next_cursor=found.next_cursor,
            unassigned=Payment.unassigned(organization_id, MAX_UNASSIGNED_COUNT),
            watch=format_watch(
                new_donations=[organization_id],
                donations=(line.gift.id for line in gifts),
                fundraisers=gift_lines.find_latest_fundraisers(organization_id),
            ),
        )

    @page(query=GiftPageQuery)
    def on_get_one(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: GiftPageQuery
    ) -> None:
        gift = Donation.fetch(req.context.organization_id, id)
        (line,) = gift_lines.describe_gifts(gift.organization_id, [gift])
        render_page(
            req,
            resp,
            "gift.html",
            line=line,
            gift=gift,
            email=_matched(gift),
            considered=gift_lines.list_considered_emails(gift.organization_id, gift.decision or {}),
            candidates=gift_lines.list_pin_candidates(gift, query.q),
            query=query,
            past=PastMatch.of(gift.organization_id, gift.id),
            done=DONE.get(query.done, ""),
            watch=format_watch(donations=[gift.id]),
        )

    @form()
    def on_post_pin(self, req: falcon.Request, resp: falcon.Response, id: str, form: Form) -> None:
        gift = Donation.fetch(req.context.organization_id, id)
        email = form.text("email")
        if not email:
            raise bad_request(NOTHING_CHOSEN)
        gift.pin_to(None if email == NO_EMAIL_CHOICE else email)
        redirect_to(resp, f"/dashboard/gifts/{gift.id}?done=pinned")

    @form()
    def on_post_unpin(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        gift = Donation.fetch(req.context.organization_id, id).unpin()
        redirect_to(resp, f"/dashboard/gifts/{gift.id}?done=unpinned")


def _matched(gift: Donation) -> Email | None:
    if gift.email_id is None:
        return None
    try:
        return Email.fetch(gift.organization_id, gift.email_id)
    except NotFound:
        return None
