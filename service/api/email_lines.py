"""The lines of an email import, from a request or a file. documents/ stores the emails."""

from collections.abc import Iterable
from typing import Any

import falcon

from documents.imports.emails import EmailImport
from service.api.parsing import LINE_LIMIT, parse
from service.api.problems import Invalid
from service.api.resources.emails import EmailIn
from service.api.validation import validate


def take_in(importing: EmailImport, lines: Iterable[tuple[int, bytes | None]]) -> None:
    """Import JSON lines. Each line has the fields of POST /v1/emails."""
    for number, line in lines:
        if line is None:
            refuse(
                importing,
                number,
                "too_long",
                f"Line too long. Send at most {LINE_LIMIT} bytes per line.",
            )
            continue
        try:
            value = parse(line)
        except falcon.HTTPBadRequest as error:
            refuse(
                importing,
                number,
                "malformed",
                error.description or "Invalid JSON. Send valid JSON in UTF-8.",
            )
        else:
            take_in_value(importing, number, value)
    importing.flush()


def take_in_value(importing: EmailImport, number: int, value: Any) -> None:
    """Import one parsed line."""
    try:
        email = validate(EmailIn, value)
    except Invalid as error:
        importing.refuse(number, error.errors, error.left_out)
    else:
        importing.add(number, email.model_dump(exclude_unset=True))


def refuse(importing: EmailImport, number: int, code: str, detail: str) -> None:
    importing.refuse(number, [{"pointer": "", "code": code, "detail": detail}])
