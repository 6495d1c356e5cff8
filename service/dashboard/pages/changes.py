"""The page that explains why the total of a fundraiser changed between two times."""

from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, NamedTuple

import falcon
from pydantic import Field

from documents.fundraiser import Fundraiser
from documents.history.progress import find_history_start
from documents.reports.change_lines import list_change_lines
from documents.reports.explained import check_listed_times, explain_difference
from documents.storage.pagination import InvalidCursor
from documents.values.fields import format_time
from documents.values.time import now
from service.api.parsing import bad_request
from service.dashboard.page import page
from service.dashboard.presentation import changes
from service.dashboard.queries import BAD_PAGE, Cursor, PageQuery
from service.dashboard.render import formats_for, render_page
from service.dashboard.time_queries import FormTime, format_as_of, format_query, to_instant

CHANGES_A_PAGE = 50
DEFAULT_SPAN = timedelta(days=1)


class ChangeFileQuery(PageQuery):
    """Two times. By default, the last day."""

    since: Annotated[FormTime, Field(alias="from")] = None
    until: Annotated[FormTime, Field(alias="to")] = None


class ChangeQuery(ChangeFileQuery):
    cursor: Cursor | None = None


class ChangeTimes(NamedTuple):
    """The changes after `since`, until `until` inclusive."""

    since: datetime
    until: datetime


class ChangePages:
    """/dashboard/fundraisers/{id}/changes"""

    @page(query=ChangeQuery)
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: ChangeQuery
    ) -> None:
        fundraiser = Fundraiser.fetch(req.context.organization_id, id)
        start = find_history_start(fundraiser)
        times = read_change_times(req, fundraiser, query) if start or query.since else None
        render_page(
            req,
            resp,
            "changes.html",
            fundraiser=fundraiser,
            query=query,
            history_start=start,
            times=times,
            kinds=changes.CHANGE_KIND_LABELS,
            not_counted=changes.NOT_COUNTED,
            difference=partial(changes.format_difference, formats=formats_for(req)),
            **(_read_changes(req, fundraiser, times, query.cursor) if times else {}),
        )


def read_change_times(
    req: falcon.Request, fundraiser: Fundraiser, query: ChangeFileQuery
) -> ChangeTimes:
    """Return the times that the query asks for.

    Raises:
        Unacceptable: see `check_change_times`.
    """
    zone = formats_for(req).zone
    until = to_instant(query.until, zone) if query.until else now()
    if query.since:
        since = to_instant(query.since, zone)
    else:
        since = until - DEFAULT_SPAN
        if (start := find_history_start(fundraiser)) and since < start <= until:
            since = start
    check_listed_times(fundraiser, since, until)
    return ChangeTimes(since, until)


def _read_changes(
    req: falcon.Request, fundraiser: Fundraiser, times: ChangeTimes, cursor: str | None
) -> dict[str, Any]:
    try:
        found = list_change_lines(fundraiser, *times, limit=CHANGES_A_PAGE, cursor=cursor)
    except InvalidCursor:
        raise bad_request(BAD_PAGE) from None
    if cursor:  # retention may have deleted lines of this page meanwhile
        check_listed_times(fundraiser, *times)
    explanation = None if cursor else explain_difference(fundraiser, *times)
    formats = formats_for(req)
    # Exact times, so that each page and the file have the same changes.
    fields = {"from": format_time(times.since), "to": format_time(times.until)}
    return {
        "lines": found,
        "explanation": explanation,
        "sums": changes.list_sum_rows(explanation, formats) if explanation else [],
        "whole": changes.write_difference(explanation, formats) if explanation else "",
        "fields": fields,
        "fields_query": format_query(fields),
        "links": [format_as_of(at) for at in times],
    }
