"""The audit: acts in an organization, with their time and actor."""

from typing import Annotated, Literal

import falcon
from pydantic import MISSING, Field

from documents.access.audit import AuditEntry
from service.api.fields import Id, ListQuery, ResponseModel, Text, Time
from service.api.operation import answer_page, operation


class AuditEntryOut(ResponseModel):
    id: Id
    seq: Annotated[int, Field(description="Its place in the organization's chain, from 1")]
    at: Time
    actor: Annotated[str, Field(description="key:… or staff:… and its id, or the command line")]
    action: Annotated[str, Field(description="Verb and route, or the command")]
    record: Annotated[str | None, Field(description="The id in the route")]
    fields: Annotated[list[str], Field(description="Which fields were sent; never their values")]
    outcome: Annotated[
        int | None, Field(description="The status; null if the process died before it was known")
    ]
    previous: Annotated[str, Field(description="The hash of the entry before")]
    hash: Annotated[str, Field(description="SHA-256 over all the rest")]


class AuditList(ResponseModel):
    data: list[AuditEntryOut]
    next_cursor: str | None


class AuditQuery(ListQuery):
    record: Id | MISSING = MISSING
    actor: Text | MISSING = MISSING
    sort: Literal["seq", "-seq"] = "-seq"


class Audit:
    """/v1/audit: what was changed, removed or administered; within seconds."""

    @operation("List who did what", scope="admin", query=AuditQuery, answers={200: AuditList})
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: AuditQuery) -> None:
        answer_page(req, resp, AuditEntry, AuditEntryOut, query)
