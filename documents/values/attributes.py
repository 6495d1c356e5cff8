"""Attributes of users: short texts by name, such as a class year. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, WrapValidator
from pydantic_core import PydanticCustomError

from documents.values.validators import check_line

MAX_ATTRIBUTES, MAX_ATTRIBUTE_NAME_LENGTH, MAX_ATTRIBUTE_LENGTH = 20, 40, 100
MAILBOX_PROVIDER = "mailbox_provider"  # the built-in segment, so no attribute can have this name
ATTRIBUTE_NAME_PATTERN = re.compile(rf"[A-Za-z0-9_]{{1,{MAX_ATTRIBUTE_NAME_LENGTH}}}", re.ASCII)
ATTRIBUTE_NAME_MESSAGE = (
    f"Names have 1 to {MAX_ATTRIBUTE_NAME_LENGTH} letters from a to z, digits and underscores."
)
TOO_MANY_ATTRIBUTES_MESSAGE = f"A user can have at most {MAX_ATTRIBUTES} attributes."

Attributes = Mapping[str, str]


def fold_attribute_name(name: str) -> str:
    """Return the one spelling of an attribute's name, in lower case."""
    if not ATTRIBUTE_NAME_PATTERN.fullmatch(name):
        raise PydanticCustomError("attribute_name", ATTRIBUTE_NAME_MESSAGE)
    return name.lower()


def _new_name(name: str) -> str:
    folded = fold_attribute_name(name)
    if folded == MAILBOX_PROVIDER:
        raise PydanticCustomError("reserved_name", "Matchback sets mailbox_provider itself.")
    return folded


def _stripped(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "Must not be blank.")
    return text.strip()


def _with_distinct_names(value: object, read: Callable[[object], dict[str, str]]) -> dict[str, str]:
    """Reject two spellings of one name, because only one of their values could stay."""
    found = read(value)
    if isinstance(value, dict) and len(found) < len(value):
        raise PydanticCustomError("repeated_name", "Two names differ only in case.")
    return found


AttributeName = Annotated[str, AfterValidator(fold_attribute_name)]
AttributesIn = Annotated[
    dict[
        Annotated[str, AfterValidator(_new_name)],
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=MAX_ATTRIBUTE_LENGTH),
            AfterValidator(check_line),
            AfterValidator(_stripped),
        ],
    ],
    WrapValidator(_with_distinct_names),
    Field(
        max_length=MAX_ATTRIBUTES,
        description="Short texts about the user by name, such as class_year. Reports show figures "
        f"by their values. {ATTRIBUTE_NAME_MESSAGE} Names are stored in lower case.",
        examples=[{"class_year": "1998", "school": "Law"}],
    ),
]


def merge_attributes(stored: Attributes, given: Attributes) -> dict[str, str] | None:
    """Return the stored attributes with the given ones, or None if there are too many."""
    merged = {**stored, **given}
    return merged if len(merged) <= MAX_ATTRIBUTES else None
