"""The form with what a person chooses for an uploaded file."""

from typing import Any

from documents.fundraiser import Fundraiser
from documents.imports.fields import FIELDS
from documents.imports.file_import import FileImport
from documents.mailing import Mailing
from documents.values.money import count_decimals
from service.api.parsing import bad_request
from service.dashboard.forms import NO_CHOICE, Form, read_choice
from service.dashboard.presentation import import_labels as labels
from service.dashboard.presentation.language import marked

MAX_SHEET_NAME_LENGTH = 100
ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "cp1252": "Windows-1252",
    "latin-1": "Latin-1",
    "mac-roman": "Mac Roman",
}
# The choices of a select, by the name of the choice.
SELECTS: dict[str, dict[str, Any]] = {
    "encoding": ENCODINGS,
    "delimiter": labels.DELIMITER_LABELS,
    "decimal": labels.DECIMAL_LABELS,
    "date_order": labels.DATE_ORDER_LABELS,
}
UNKNOWN_CURRENCY = marked("The currency is unknown. Enter a code of three letters, such as USD.")


def read_choices(one: FileImport, form: Form) -> dict[str, str]:
    """Return the choices of a form.

    Raises:
        falcon.HTTPBadRequest: a choice is not available.
        NotFound: the fundraiser or the mailing does not exist.
    """
    chosen = {
        name: read_choice(form, name, {"": "", **allowed}) for name, allowed in SELECTS.items()
    }
    chosen["sheet"] = form.text("sheet")[:MAX_SHEET_NAME_LENGTH]
    chosen["currency"] = form.text("currency").upper()
    if chosen["currency"] and count_decimals(chosen["currency"]) is None:
        raise bad_request(UNKNOWN_CURRENCY)
    for name, of in (("fundraiser_id", Fundraiser), ("mailing_id", Mailing)):
        if id_ := form.text(name):
            chosen[name] = str(of.fetch(one.organization_id, id_).id)
    return {name: value for name, value in chosen.items() if value}


def read_columns(one: FileImport, form: Form) -> list[tuple[str, str]]:
    """Return the fields of the columns that the form has. The page may be older than these."""
    chosen = []
    for number, (column, _) in enumerate(one.found_columns):
        name = f"column.{number}"
        if not form.list_values(name):
            continue
        field = form.text(name)
        if field and field not in FIELDS[one.records]:
            raise bad_request(NO_CHOICE)
        chosen.append((column, field))
    return chosen
