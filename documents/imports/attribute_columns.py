"""Columns of a table that are attributes of users. Pure."""

from collections.abc import Iterable, Mapping

from documents.errors import Unusable
from documents.imports.fields import ATTRIBUTE_FIELD, FIELDS, RecordKind
from documents.imports.tables.header import fold_column
from documents.values.attributes import (
    ATTRIBUTE_NAME_MESSAGE,
    ATTRIBUTE_NAME_PATTERN,
    MAILBOX_PROVIDER,
    MAX_ATTRIBUTES,
)

PREFIXES = ("attribute ", "attributes ")  # of folded columns


def guess_attributes(kind: RecordKind, guessed: Mapping[str, str | None]) -> list[str]:
    """Return the columns without another field whose names begin with "attribute"."""
    if ATTRIBUTE_FIELD not in FIELDS[kind]:
        return []
    unknown = [column for column, field in guessed.items() if not field]
    return [column for column in unknown if fold_column(column).startswith(PREFIXES)]


def name_attributes(columns: Iterable[str]) -> dict[str, str]:
    """Return the attribute of each column: "Attribute: Class Year" is class_year.

    Raises:
        Unusable: a column's name cannot be an attribute's, two columns have one attribute, or
            there are too many.
    """
    names: dict[str, str] = {}
    for column in columns:
        name = _name_attribute(column)
        if not ATTRIBUTE_NAME_PATTERN.fullmatch(name) or name == MAILBOX_PROVIDER:
            raise Unusable(
                f"The column “{column}” cannot be an attribute. {ATTRIBUTE_NAME_MESSAGE} Rename it"
            )
        if name in names.values():
            raise Unusable(f"Two columns are the attribute {name}. Rename one")
        names[column] = name
    if len(names) > MAX_ATTRIBUTES:
        raise Unusable(f"Choose at most {MAX_ATTRIBUTES} columns as attributes")
    return names


def _name_attribute(column: str) -> str:
    folded = fold_column(column)
    for prefix in PREFIXES:
        folded = folded.removeprefix(prefix)
    return folded.replace(" ", "_")
