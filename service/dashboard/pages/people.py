"""The page of a person: emails, opens, clicks and gifts in order."""

import falcon

from documents.reports.timeline import list_timeline
from documents.storage.pagination import InvalidCursor
from documents.user import User
from service.api.parsing import bad_request
from service.dashboard.page import page
from service.dashboard.queries import BAD_PAGE, Cursor, PageQuery, format_watch
from service.dashboard.render import render_page

TIMELINE_ENTRIES_A_PAGE = 50


class PersonQuery(PageQuery):
    cursor: Cursor | None = None


class PersonPages:
    """/dashboard/people/{id}"""

    @page(query=PersonQuery)
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: PersonQuery
    ) -> None:
        user = User.fetch(req.context.organization_id, id)
        try:
            told = list_timeline(user, limit=TIMELINE_ENTRIES_A_PAGE, cursor=query.cursor)
        except InvalidCursor:
            raise bad_request(BAD_PAGE) from None
        emails = dict.fromkeys(entry.email_id for entry in told.entries if entry.email_id)
        render_page(
            req,
            resp,
            "person.html",
            user=user,
            told=told,
            query=query,
            watch=format_watch(users=[user.id], emails=emails),
        )
