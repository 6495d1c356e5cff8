"""Imports: many records in one request, one per line."""

from typing import Annotated

import falcon
from pydantic import Field

from documents.imports.emails import MAX_LISTED_HELD_OUT_LINES
from documents.imports.fields import RecordKind
from documents.imports.kinds import IMPORT_KINDS
from documents.imports.record_import import MAX_REJECTED_LINES
from documents.values.validation import MAX_LISTED_ERRORS
from service.api.fields import Id, ResponseModel
from service.api.import_lines import import_lines
from service.api.import_shares import ImportShares
from service.api.operation import Operation, answer_model, operation
from service.api.parsing import NDJSON_MEDIA_TYPE, read_lines


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

    created: Annotated[int, Field(description="Number of new records.")]
    found: Annotated[int, Field(description="Number of lines whose record already exists.")]
    refused_count: Annotated[int, Field(description="Number of rejected lines.")]
    refused: Annotated[
        list[RefusedLine],
        Field(
            max_length=MAX_REJECTED_LINES,
            description="The first 1,000 rejected lines with their errors.",
        ),
    ]
    refused_left_out: Annotated[int, Field(description="Number of further rejected lines.")]


class ArmLines(ResponseModel):
    """The lines whose email has one arm of a mailing's experiment."""

    mailing_id: Id
    arm: str
    held_out: Annotated[bool, Field(description="True if the emails must not be sent.")]
    count: Annotated[int, Field(description="Number of lines, listed or not.")]
    lines: Annotated[list[int], Field(description="Line numbers, from 1.")]


class ImportedEmails(Imported):
    """The result of an import of emails."""

    held_out_count: Annotated[
        int,
        Field(description="Number of lines whose email an experiment holds out. Do not send them."),
    ]
    held_out_lines: Annotated[
        list[int],
        Field(
            max_length=MAX_LISTED_HELD_OUT_LINES,
            description="Line numbers of held-out emails, new or not; at most 100,000.",
        ),
    ]
    held_out_left_out: Annotated[
        int,
        Field(
            description="Number of further held-out lines. To get them, export the mailing's "
            "emails with `held_out=true`."
        ),
    ]
    arms: Annotated[
        list[ArmLines],
        Field(
            description="The lines of emails with an arm, new or not, by arm; together at most "
            "100,000 line numbers."
        ),
    ]
    arm_lines_left_out: Annotated[
        int,
        Field(
            description="Number of further lines of emails with an arm. To get them, export the "
            "mailing's emails with `arm`."
        ),
    ]


class _Imports:
    """An import of any number of lines. Each line has the fields of a POST of the records."""

    model: type[Imported] = Imported

    def __init__(self, shares: ImportShares) -> None:
        self._shares = shares

    def _import(self, req: falcon.Request, resp: falcon.Response, records: RecordKind) -> None:
        kind = IMPORT_KINDS[records]
        with self._shares.one_of(req.context.organization_id):
            importing = kind.importing(req.context.organization_id)
            import_lines(kind, importing, read_lines(req))
            answer_model(resp, self.model, importing)


def _describe(summary: str, model: type[Imported] = Imported) -> Operation:
    return operation(
        summary,
        scope="write",
        answers={200: model},
        problems=(415, 503),
        raw=NDJSON_MEDIA_TYPE,
        streams=True,
    )


class EmailImports(_Imports):
    """/v1/emails/import"""

    model = ImportedEmails

    @_describe("Import emails", ImportedEmails)
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._import(req, resp, "emails")


class UserImports(_Imports):
    """/v1/users/import"""

    @_describe("Import users")
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._import(req, resp, "users")


class DonationImports(_Imports):
    """/v1/donations/import"""

    @_describe("Import donations")
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        self._import(req, resp, "donations")
