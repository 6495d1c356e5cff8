"""Many emails in one request, a line each."""

from functools import cached_property
from threading import BoundedSemaphore
from typing import Annotated

import falcon
from pydantic import Field

from config.settings import settings
from documents.email_import import EmailImport
from service.email_lines import take_in
from service.operation import answer, operation
from service.reading import NDJSON, read_lines
from service.types import Answer


class LineError(Answer):
    pointer: str
    code: str
    detail: str


class RefusedLine(Answer):
    line: Annotated[int, Field(description="Its number, from 1")]
    errors: list[LineError]


class Imported(Answer):
    """What became of the lines. Of those that were refused, the first thousand are named."""

    created: int
    found: int
    refused_count: int
    refused: list[RefusedLine]


class EmailImports:
    """/v1/emails/import: each line as POST /v1/emails takes it, any number of them."""

    @cached_property
    def _room(self) -> BoundedSemaphore:
        # An import is read as it comes, however slowly: half of the threads are not for it.
        return BoundedSemaphore(max(1, settings().web_threads // 2))

    @operation(
        "Import emails",
        scope="write",
        answers={200: Imported},
        problems=(415, 503),
        raw=NDJSON,
        streams=True,
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        if not self._room.acquire(blocking=False):
            raise falcon.HTTPServiceUnavailable(
                description="Too many imports are running; try again later.", retry_after=5
            )
        try:
            importing = EmailImport(req.context.organization_id)
            take_in(importing, read_lines(req))
            answer(resp, Imported, importing)
        finally:
            self._room.release()
