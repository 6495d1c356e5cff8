"""The page of a mailing: its funnel, links and recipients."""

from typing import Annotated, Literal

import falcon
from pydantic import Field

from documents.fundraiser import Fundraiser
from documents.link import Link
from documents.mailing import Mailing
from documents.reports.recipients import RecipientAction, list_recipients
from documents.reports.report import build_mailing_report
from documents.storage.pagination import InvalidCursor
from documents.storage.pagination import list_page as page_of
from documents.values.attributes import MAILBOX_PROVIDER, AttributeName
from service.api.parsing import bad_request
from service.dashboard.page import page
from service.dashboard.pages.report_times import (
    answer_report_csv,
    read_time_values,
    show_past_report,
)
from service.dashboard.presentation import tables
from service.dashboard.presentation.csv_file import answer_csv
from service.dashboard.presentation.figures import build_template_values
from service.dashboard.presentation.language import marked
from service.dashboard.queries import BAD_PAGE, ArmFilter, Cursor, Search, format_watch
from service.dashboard.render import formats_for, language_for, render_page
from service.dashboard.time_queries import ReportTimeQuery

MAX_LINKS_SHOWN = 20
RECIPIENTS_A_PAGE = 50
RECIPIENT_FILTER_LABELS = {
    "": marked("All"),
    "opened": marked("Opened"),
    "clicked": marked("Clicked"),
    "gave": marked("Gave"),
    "bounced": marked("Bounced"),
    "left": marked("Unsubscribed"),
}


class RecipientQuery(ReportTimeQuery):
    by: AttributeName = MAILBOX_PROVIDER
    did: Annotated[Literal["", "opened", "clicked", "gave", "bounced", "left"], Field()] = ""
    q: Search = ""
    arm: ArmFilter = ""
    cursor: Cursor | None = None

    @property
    def filters(self) -> dict[str, str]:
        """The filters of the list, for links."""
        return {"did": self.did, "arm": self.arm, "q": self.q}


class MailingPages:
    """/dashboard/mailings/{id}, and its tables as CSV"""

    @page(query=RecipientQuery)
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: RecipientQuery
    ) -> None:
        mailing = Mailing.fetch(req.context.organization_id, id)
        if (at := query.find_as_of(formats_for(req).zone)) is not None:
            show_past_report(req, resp, mailing, at)
            return
        did: RecipientAction | None = query.did or None
        try:
            found = list_recipients(
                mailing,
                did=did,
                search=query.q,
                arm=query.arm or None,
                limit=RECIPIENTS_A_PAGE,
                cursor=query.cursor,
            )
        except InvalidCursor:
            raise bad_request(BAD_PAGE) from None
        render_page(
            req,
            resp,
            "mailing.html",
            mailing=mailing,
            fundraiser=Fundraiser.fetch(mailing.organization_id, mailing.fundraiser_id),
            links=_links(mailing),
            recipients=found,
            query=query,
            did=RECIPIENT_FILTER_LABELS,
            arms=_list_sent_arms(mailing),
            watch=format_watch(mailings=[mailing.id]),
            **read_time_values(req, mailing, query, _list_kept(query)),
            **build_template_values(build_mailing_report(mailing, query.by), formats_for(req)),
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
        mailing = Mailing.fetch(req.context.organization_id, id)
        if table == "links":
            rows = [
                [link.url, link.emails, link.clicks, link.machine_clicks]
                for link in _links(mailing)
            ]
            said = language_for(req).gettext
            header = [said("Link"), said("Emails"), said("Clicks"), said("Machine clicks")]
            answer_csv(resp, f"links-{id}", header, rows)
            return
        if table not in tables.REPORT_TABLES or table == "mailings":
            raise falcon.HTTPNotFound
        answer_report_csv(req, resp, mailing, table, query)


def _list_kept(query: RecipientQuery) -> dict[str, str]:
    by = query.by if query.by != MAILBOX_PROVIDER else ""
    return {"by": by, **query.filters}


def _list_sent_arms(mailing: Mailing) -> list[str]:
    """Return the arms by which recipients can be filtered: those that are not held out."""
    arms = mailing.experiment["arms"] if mailing.experiment else ()
    return [arm["name"] for arm in arms if not arm["held_out"]]


def _links(mailing: Mailing) -> list[Link]:
    """Return the links that most recipients clicked."""
    return page_of(
        Link,
        mailing.organization_id,
        filters=Link.filters({"mailing_id": mailing.id}),
        sort="-emails",
        limit=MAX_LINKS_SHOWN,
        cursor=None,
    ).records
