"""Validators of fields that clients and payment processors send, for pydantic's models. Pure.

They report input by pydantic's own errors alone, because pydantic also collects the ValueError of
a bug.
"""

import re

from pydantic_core import PydanticCustomError, PydanticKnownError

from documents.values.address import LONGEST_ADDRESS, cleaned
from documents.values.money import NOT_A_CURRENCY, minor_units

# Texts of several lines have tabs, line feeds and carriage returns.
CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
CONTROL_IN_LINE = re.compile(r"[\x00-\x1f\x7f]")


def check_text(text: str) -> str:
    """Reject control characters, except those that a text of several lines has."""
    return _without(CONTROL_IN_TEXT, text)


def check_line(text: str) -> str:
    """Reject control characters, line breaks among them."""
    return _without(CONTROL_IN_LINE, text)


def clean_address(text: str) -> str:
    """Return the address without what hides in or surrounds it. Reject one that is too long."""
    address = cleaned(text)
    if len(address) > LONGEST_ADDRESS:
        raise PydanticKnownError("string_too_long", {"max_length": LONGEST_ADDRESS})
    return address


def check_currency(code: str) -> str:
    """Reject a code that ISO 4217 does not list as money."""
    if minor_units(code) is None:
        raise PydanticCustomError("currency", NOT_A_CURRENCY)
    return code


def _without(control: re.Pattern[str], text: str) -> str:
    if control.search(text):
        raise PydanticCustomError("control_character", "Control characters are not allowed.")
    return text
