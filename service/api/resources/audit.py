"""The audit: acts in an organization, with their time and actor."""

from typing import Annotated, Literal

import falcon
from pydantic import MISSING, Field

from documents.access.audit import AuditEntry
from service.api.fields import Id, ListQuery, ResponseModel, Text, Time
from service.api.operation import answer_page, operation


class AuditEntryOut(ResponseModel):
    id: Id
    seq: Annotated[int, Field(description="Position in the organization's chain, from 1.")]
    at: Time
    actor: Annotated[str, Field(description="`key:` or `staff:` with an ID, or the command line.")]
    action: Annotated[str, Field(description="HTTP method and route, or the command.")]
    record: Annotated[str | None, Field(description="ID of the record.")]
    fields: Annotated[
        list[str], Field(description="Names of the fields that were sent, without values.")
    ]
    outcome: Annotated[
        int | None, Field(description="Status of the response; null if the process died first.")
    ]
    previous: Annotated[str, Field(description="Hash of the previous entry.")]
    hash: Annotated[str, Field(description="SHA-256 hash of all other fields.")]


class AuditList(ResponseModel):
    data: list[AuditEntryOut]
    next_cursor: str | None


class AuditQuery(ListQuery):
    record: Id | MISSING = MISSING
    actor: Text | MISSING = MISSING
    sort: Literal["seq", "-seq"] = "-seq"


class Audit:
    """/v1/audit: updates, deletions, administration and exports. Entries appear within seconds."""

    @operation("List audit entries", scope="admin", query=AuditQuery, answers={200: AuditList})
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: AuditQuery) -> None:
        answer_page(req, resp, AuditEntry, AuditEntryOut, query)
