"""Imports: many emails in one request, one per line."""

from functools import cached_property
from typing import Annotated

import falcon
from pydantic import Field

from config.settings import get_settings
from documents.imports.emails import MAX_REJECTED_LINES, EmailImport
from service.api.email_lines import import_email_lines
from service.api.fields import ResponseModel
from service.api.import_shares import ImportShares
from service.api.operation import answer_model, operation
from service.api.parsing import NDJSON_MEDIA_TYPE, read_lines
from service.api.problems import MAX_LISTED_ERRORS


class LineError(ResponseModel):
    pointer: str
    code: str
    detail: str


class RefusedLine(ResponseModel):
    line: Annotated[int, Field(description="Line number, from 1.")]
    errors: Annotated[list[LineError], Field(max_length=MAX_LISTED_ERRORS)]
    errors_left_out: Annotated[int, Field(description="Number of further errors of the line.")]


class Imported(ResponseModel):
    """The result of an import."""

    created: int
    found: int
    refused_count: Annotated[int, Field(description="Number of rejected lines.")]
    refused: Annotated[
        list[RefusedLine],
        Field(
            max_length=MAX_REJECTED_LINES,
            description="The first 1,000 rejected lines with their errors.",
        ),
    ]
    refused_left_out: Annotated[int, Field(description="Number of further rejected lines.")]


class EmailImports:
    """/v1/emails/import: any number of lines. Each line has the fields of POST /v1/emails."""

    @cached_property
    def _shares(self) -> ImportShares:
        return ImportShares(max(1, get_settings().web_threads // 2))

    @operation(
        "Import emails",
        scope="write",
        answers={200: Imported},
        problems=(415, 503),
        raw=NDJSON_MEDIA_TYPE,
        streams=True,
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        with self._shares.one_of(req.context.organization_id):
            importing = EmailImport(req.context.organization_id)
            import_email_lines(importing, read_lines(req))
            answer_model(resp, Imported, importing)
