"""Choices for an uploaded file, and the choices that a person still has to make. Pure."""

from collections.abc import Iterator
from typing import Any

from documents.imports import amounts, dates
from documents.imports.fields import FIELDS
from documents.imports.file_import import FileImport
from documents.imports.import_file import FileChoices
from documents.imports.records import ImportOptions
from documents.imports.tables.csv_table import UNDECODED_ERROR
from documents.imports.tables.header import map_columns
from documents.organization import Organization

# The choice that would allow a line, by the beginning of its error.
ASKED_CHOICES = {
    amounts.AMBIGUOUS: "decimal",
    dates.AMBIGUOUS: "date_order",
    "Must have an ISO 4217 currency": "currency",
    "Set fundraiser_id or mailing_id.": "fundraiser_id",
    UNDECODED_ERROR: "encoding",
}


def build_choices(record: FileImport, organization: Organization) -> FileChoices:
    """Return what a person chose for the file."""
    chosen = record.choices
    parents = {name: chosen.get(name, "") for name in ("fundraiser_id", "mailing_id")}
    options = ImportOptions(
        columns=dict(map(tuple, record.columns)),
        defaults={name: value for name, value in parents.items() if value},
        currency=chosen.get("currency", ""),
        decimal=chosen.get("decimal", ""),
        date_order=chosen.get("date_order", ""),
        zone=organization.zone,
    )
    return FileChoices(
        chosen.get("encoding", ""), chosen.get("delimiter", ""), chosen.get("sheet", ""), options
    )


def guess_columns(record: FileImport, columns: list[str]) -> list[list[str]]:
    """Return what each column is taken for, although the columns together are not clear."""
    chosen, fields = dict(map(tuple, record.columns)), FIELDS[record.records]
    guesses = {name: map_columns([name], fields)[name] or "" for name in columns}
    return [[name, chosen.get(name, guess)] for name, guess in guesses.items()]


def list_asks(refused: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the choices that would allow some of the rejected lines."""
    for line in refused:
        for error in line["errors"]:
            for beginning, choice in ASKED_CHOICES.items():
                if error["detail"].startswith(beginning):
                    yield choice
