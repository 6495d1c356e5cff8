"""Failed jobs: records that could not be processed, and their retries."""

from typing import Annotated

import falcon
from bson import ObjectId
from pydantic import Field

from documents.settling.failed_job import FailedJob
from service.api.fields import OBJECT_ID_PATTERN, Id, ListQuery, ResponseModel, Time
from service.api.operation import answer_model, operation
from service.api.parsing import bad_request


class FailedJobOut(ResponseModel):
    id: Annotated[Id, Field(description="ID of the record.")]
    job: str
    collection: str
    error: Annotated[str, Field(description="Kind of error. The log has the details.")]
    tries: int
    failed_at: Time


class FailedJobList(ResponseModel):
    data: list[FailedJobOut]
    next_cursor: str | None


class FailedJobQuery(ListQuery):
    """A page of failed jobs, newest records first."""


class FailedJobs:
    """/v1/jobs/failed, /v1/jobs/failed/{id} and /v1/jobs/failed/{id}/retry"""

    @operation("List failed jobs", scope="read", query=FailedJobQuery, answers={200: FailedJobList})
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: FailedJobQuery) -> None:
        if query.cursor is not None and not OBJECT_ID_PATTERN.fullmatch(query.cursor):
            raise bad_request("Invalid cursor. Use the `next_cursor` of this list.")
        after = ObjectId(query.cursor) if query.cursor else None
        found = FailedJob.page(req.context.organization_id, query.limit + 1, after)
        more = len(found) > query.limit
        page = found[: query.limit]
        listed = {"data": page, "next_cursor": str(page[-1].id) if more else None}
        answer_model(resp, FailedJobList, listed)

    @operation("Get a failed job", scope="read", answers={200: FailedJobOut})
    def on_get_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        answer_model(resp, FailedJobOut, FailedJob.fetch(req.context.organization_id, id))

    @operation("Discard a failed job", scope="admin", answers={204: None})
    def on_delete_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        FailedJob.fetch(req.context.organization_id, id).discard()
        resp.status = 204

    @operation("Retry a failed job", scope="admin", answers={202: FailedJobOut})
    def on_post_retry(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        job = FailedJob.fetch(req.context.organization_id, id)
        job.retry()
        answer_model(resp, FailedJobOut, job, 202)
