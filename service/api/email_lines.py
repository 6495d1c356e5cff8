"""The lines of an email import, from a request or a file. documents/ stores the emails."""

from collections.abc import Iterable
from typing import Any

import falcon

from documents.imports.emails import EmailImport
from service.api.parsing import MAX_LINE_BYTES, parse_json
from service.api.problems import InvalidRequest
from service.api.resources.emails import EmailIn
from service.api.validation import validate_value


def import_email_lines(importing: EmailImport, lines: Iterable[tuple[int, bytes | None]]) -> None:
    """Import JSON lines. Each line has the fields of POST /v1/emails."""
    for number, line in lines:
        if line is None:
            reject_line(
                importing,
                number,
                "too_long",
                f"Line too long. Send at most {MAX_LINE_BYTES} bytes per line.",
            )
            continue
        try:
            value = parse_json(line)
        except falcon.HTTPBadRequest as error:
            reject_line(
                importing,
                number,
                "malformed",
                error.description or "Invalid JSON. Send valid JSON in UTF-8.",
            )
        else:
            import_email_line(importing, number, value)
    importing.flush()


def import_email_line(importing: EmailImport, number: int, value: Any) -> None:
    """Import one parsed line."""
    try:
        email = validate_value(EmailIn, value)
    except InvalidRequest as error:
        importing.refuse(number, error.errors, error.left_out)
    else:
        importing.add(number, email.model_dump(exclude_unset=True))


def reject_line(importing: EmailImport, number: int, code: str, detail: str) -> None:
    importing.refuse(number, [{"pointer": "", "code": code, "detail": detail}])
