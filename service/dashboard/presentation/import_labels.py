"""The dashboard's labels for imports of files. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from documents.imports import amounts, dates
from documents.imports.tables.csv_table import UNDECODED_ERROR
from documents.imports.tables.encoding import ENCODING_NAMES
from service.dashboard.presentation.formats import Formats
from service.dashboard.presentation.language import marked

# An email of the API is a recipient here, because a file lists who gets a mailing.
RECORD_LABELS = {
    "users": marked("People"),
    "emails": marked("Sent emails"),
    "donations": marked("Gifts"),
}
STATE_LABELS = {
    "uploading": marked("Uploading"),
    "checking": marked("Checking file"),
    "unclear": marked("Needs your choice"),
    "ready": marked("Ready to import"),
    "running": marked("Importing"),
    "done": marked("Imported"),
    "cancelled": marked("Cancelled"),
    "failed": marked("Stopped"),
    "expired": marked("Expired"),
}
FIELD_LABELS = {
    "email": marked("Email address"),
    "name": marked("Full name"),
    "first_name": marked("First name"),
    "last_name": marked("Last name"),
    "attribute": marked("Attribute"),
    "fundraiser_id": marked("Fundraiser ID"),
    "mailing_id": marked("Mailing ID"),
    "user_id": marked("Person ID"),
    "sent_at": marked("Sent on"),
    "arm": marked("Arm"),
    "email_id": marked("Email ID"),
    "external_id": marked("Gift ID"),
    "amount": marked("Amount"),
    "currency": marked("Currency"),
    "donated_at": marked("Date of gift"),
    "status": marked("Status"),
    "recurring_id": marked("Recurring plan ID"),
}
FORMAT_LABELS = {
    "csv": marked("CSV"),
    "xlsx": marked("Excel workbook"),
    "ndjson": marked("JSON lines"),
}
DELIMITER_LABELS = {
    ",": marked("Comma"),
    ";": marked("Semicolon"),
    "\t": marked("Tab"),
    "|": marked("Vertical bar"),
}
DECIMAL_LABELS = {".": marked("Point, as in 1,234.50"), ",": marked("Comma, as in 1.234,50")}
DATE_ORDER_LABELS = {"day": marked("Day first"), "month": marked("Month first")}
ASK_LABELS = {
    "encoding": marked("Some characters cannot be read. Choose the encoding."),
    "decimal": marked("Some amounts are ambiguous. Choose the decimal separator."),
    "date_order": marked("Some dates are ambiguous. Choose the order of day and month."),
    "currency": marked("Some amounts name no currency. Choose one."),
    "fundraiser_id": marked("Some lines name no fundraiser. Choose a fundraiser or a mailing."),
}
REASON_LABELS = {
    amounts.AMBIGUOUS: marked("The amount is ambiguous."),
    dates.AMBIGUOUS: marked("The date is ambiguous."),
    dates.NOT_A_DATE: marked("Not a date such as 2026-11-28."),
    "Must be an amount such as 1234.50": marked("Not an amount such as 1234.50."),
    "Must have an ISO 4217 currency, such as USD": marked("The currency is missing or unknown."),
    "Set fundraiser_id or mailing_id": marked("The fundraiser is missing."),
    "Must be the ID of a fundraiser": marked("The fundraiser is unknown."),
    "Must be the ID of a mailing": marked("The mailing is unknown."),
    "Must be the ID of a mailing of this fundraiser": marked(
        "The mailing belongs to another fundraiser."
    ),
    "Must be the ID of a user": marked("The person is unknown."),
    "Must be a valid email address": marked("Not a valid email address."),
    "Must be an ID of 24 hex digits": marked("Not an ID of 24 hex digits."),
    "Field required": marked("A value is missing."),
    "Set either user_id or user": marked("The email address is missing."),
    "This donation was deleted. Give the line another external_id to import it again": marked(
        "This gift was deleted. Give it another ID to import it again."
    ),
    "The line has more values than columns": marked("The line has more values than columns."),
    UNDECODED_ERROR.removesuffix("."): marked("A character cannot be read in this encoding."),
    "A quote that begins on this line is not closed": marked(
        "A quote that begins on this line is not closed."
    ),
    "The file is empty": marked("The file is empty."),
    "The sheet is empty": marked("The sheet is empty."),
    "The workbook has no such sheet": marked("The workbook has no such sheet."),
    "The workbook is damaged, encrypted or not an .xlsx file": marked(
        "The workbook is damaged, encrypted or not an .xlsx file."
    ),
    "The file is an old or an encrypted Excel file. Save it as .xlsx or CSV": marked(
        "The file is an old or an encrypted Excel file. Save it as .xlsx or CSV."
    ),
    "The gzip file is damaged": marked("The gzip file is damaged."),
    "The file is not text. Save it as CSV or .xlsx": marked(
        "The file is not text. Save it as CSV or .xlsx."
    ),
    "Choose each field for one column only": marked("Choose each field for one column only."),
    "The file was deleted. Upload it again": marked("The file was deleted. Upload it again."),
}
MISSING_COLUMN = re.compile(r"The file has no column for (.+)\. Choose the column")
MISSING_COLUMN_LABELS = {
    "email": marked("No column has the email address. Choose it below."),
    "email or user_id": marked("No column has the email address. Choose it below."),
    "amount": marked("No column has the amount. Choose it below."),
}
TWO_COLUMNS = re.compile(r"The columns .+ both look like .+", re.DOTALL)
TWO_COLUMNS_LABEL = marked("Two columns look like the same field. Choose one of them below.")


def label_reason(detail: str) -> str:
    """Return the label of a reason; a reason without a label is returned unchanged."""
    reason = detail.removesuffix(".")
    if (label := REASON_LABELS.get(reason)) is not None:
        return label
    if found := MISSING_COLUMN.fullmatch(reason):
        return MISSING_COLUMN_LABELS.get(found[1], detail)
    return TWO_COLUMNS_LABEL if TWO_COLUMNS.fullmatch(reason) else f"{reason}."


def find_field(pointer: str) -> str:
    """Return the name of the field to which an error points; empty without one."""
    return pointer.rpartition("/")[2]


def name_encoding(codec: str) -> str:
    """Return the name of an encoding for people."""
    return ENCODING_NAMES.get(codec, codec)


def show_sample(values: Mapping[str, Any], name: str, formats: Formats) -> str:
    """Return a value of a line as it would be stored, in the organization's formats."""
    value = values[name]
    if name == "amount" and isinstance(value, int):
        return formats.money(value, str(values.get("currency", "")))
    if name in ("donated_at", "sent_at"):
        try:
            return formats.moment(datetime.fromisoformat(value))
        except (TypeError, ValueError):
            return str(value)
    return str(value)
