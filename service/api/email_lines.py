"""Lines of emails for an import, from a request or a file. documents/ stores them."""

from collections.abc import Iterable
from typing import Any

import falcon

from documents.imports.emails import EmailImport
from service.api.parsing import MAX_LINE_BYTES, parse_json
from service.api.problems import InvalidRequest
from service.api.resources.emails import EmailIn
from service.api.validation import validate_value


def import_email_lines(importing: EmailImport, lines: Iterable[tuple[int, bytes | None]]) -> None:
    """Import lines of JSON, each an email as POST /v1/emails takes it."""
    for number, line in lines:
        if line is None:
            reject_line(importing, number, "too_long", f"A line is {MAX_LINE_BYTES} bytes at most.")
            continue
        try:
            value = parse_json(line)
        except falcon.HTTPBadRequest as error:
            reject_line(importing, number, "malformed", error.description or "This is not JSON.")
        else:
            import_email_line(importing, number, value)
    importing.flush()


def import_email_line(importing: EmailImport, number: int, value: Any) -> None:
    """Import one line that is read already."""
    try:
        email = validate_value(EmailIn, value)
    except InvalidRequest as error:
        importing.refuse(number, error.errors, error.left_out)
    else:
        importing.add(number, email.model_dump(exclude_unset=True))


def reject_line(importing: EmailImport, number: int, code: str, detail: str) -> None:
    importing.refuse(number, [{"pointer": "", "code": code, "detail": detail}])
