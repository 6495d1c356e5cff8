"""The lines of an import, from a request or a file. documents/ stores the records."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import falcon
from pydantic import BaseModel

from documents.imports.donations import DonationImport
from documents.imports.emails import EmailImport
from documents.imports.record_import import RecordImport
from documents.imports.users import UserImport
from service.api.fields import Id
from service.api.parsing import MAX_LINE_BYTES, parse_json
from service.api.problems import InvalidRequest
from service.api.resources.donations import DonationIn
from service.api.resources.emails import EmailIn
from service.api.resources.users import UserIn
from service.api.validation import validate_value


class EmailLineIn(EmailIn):
    fundraiser_id: Id | None = None  # type: ignore[assignment]  # the mailing implies it


class DonationLineIn(DonationIn):
    fundraiser_id: Id | None = None  # type: ignore[assignment]  # the mailing implies it
    mailing_id: Id | None = None


@dataclass(frozen=True)
class ImportKind:
    """A kind of records that can be imported.

    Attributes:
        model: the form of a line.
        importing: the class of its imports.
    """

    model: type[BaseModel]
    importing: type[RecordImport[Any]]


# By the name of the records in the API and on the command line.
IMPORT_KINDS: Mapping[str, ImportKind] = {
    "emails": ImportKind(EmailLineIn, EmailImport),
    "users": ImportKind(UserIn, UserImport),
    "donations": ImportKind(DonationLineIn, DonationImport),
}


def import_lines(
    kind: ImportKind, importing: RecordImport[Any], lines: Iterable[tuple[int, bytes | None]]
) -> None:
    """Import JSON lines. Each line has the fields of a POST of the records."""
    for number, line in lines:
        if line is None:
            detail = f"Line too long. Send at most {MAX_LINE_BYTES} bytes per line."
            reject_line(importing, number, "too_long", detail)
            continue
        try:
            value = parse_json(line)
        except falcon.HTTPBadRequest as error:
            detail = error.description or "Invalid JSON. Send valid JSON in UTF-8."
            reject_line(importing, number, "malformed", detail)
        else:
            import_line(kind, importing, number, value)
    importing.flush()


def import_line(kind: ImportKind, importing: RecordImport[Any], number: int, value: Any) -> None:
    """Import one parsed line."""
    try:
        line = validate_value(kind.model, value)
    except InvalidRequest as error:
        importing.refuse(number, error.errors, error.left_out)
    else:
        importing.add(number, line.model_dump(exclude_unset=True))


def reject_line(importing: RecordImport[Any], number: int, code: str, detail: str) -> None:
    """Reject a line that is not an object in JSON."""
    importing.refuse(number, [{"pointer": "", "code": code, "detail": detail}])
