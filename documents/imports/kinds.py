"""The kinds of records that can be imported, and the validation of their lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from documents.imports.bodies import DonationLineIn, EmailLineIn, UserIn
from documents.imports.donations import DonationImport
from documents.imports.emails import EmailImport
from documents.imports.fields import RecordKind
from documents.imports.import_file import FileLine
from documents.imports.record_import import RecordImport
from documents.imports.users import UserImport
from documents.values.validation import InvalidRequest, validate_value


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
IMPORT_KINDS: Mapping[RecordKind, ImportKind] = {
    "emails": ImportKind(EmailLineIn, EmailImport),
    "users": ImportKind(UserIn, UserImport),
    "donations": ImportKind(DonationLineIn, DonationImport),
}


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


def import_file_line(kind: ImportKind, importing: RecordImport[Any], line: FileLine) -> None:
    """Import one line of a file."""
    if line.errors:
        importing.refuse(line.number, line.errors)
    else:
        import_line(kind, importing, line.number, line.body)
