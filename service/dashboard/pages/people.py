"""The page of a person: emails, opens, clicks and gifts in order."""

import falcon

from documents.reports.timeline import timeline
from documents.storage.pagination import BadCursor
from documents.user import User
from service.api.parsing import malformed
from service.dashboard.page import page
from service.dashboard.queries import BAD_PAGE, Cursor, PageQuery, watch
from service.dashboard.render import render

ENTRIES_SHOWN = 50


class PersonQuery(PageQuery):
    cursor: Cursor | None = None


class People:
    """/dashboard/people/{id}"""

    @page(query=PersonQuery)
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: PersonQuery
    ) -> None:
        user = User.fetch(req.context.organization_id, id)
        try:
            told = timeline(user, limit=ENTRIES_SHOWN, cursor=query.cursor)
        except BadCursor:
            raise malformed(BAD_PAGE) from None
        emails = dict.fromkeys(entry.email_id for entry in told.entries if entry.email_id)
        render(
            req,
            resp,
            "person.html",
            user=user,
            told=told,
            query=query,
            watch=watch(users=[user.id], emails=emails),
        )
