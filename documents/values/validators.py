"""Validators of fields that clients and payment processors send, for pydantic's models. Pure.

They raise only pydantic's own errors. Pydantic also collects ValueError, so a bug could look like
bad input.
"""

import re

from pydantic_core import PydanticCustomError, PydanticKnownError

from documents.values.address import MAX_ADDRESS_LENGTH, strip_address
from documents.values.money import INVALID_CURRENCY_MESSAGE, count_decimals

# Multi-line texts may contain tabs, line feeds and carriage returns.
TEXT_CONTROL_PATTERN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
LINE_CONTROL_PATTERN = re.compile(r"[\x00-\x1f\x7f]")


def check_text(text: str) -> str:
    """Reject control characters, except tabs and line breaks."""
    return _without(TEXT_CONTROL_PATTERN, text)


def check_line(text: str) -> str:
    """Reject control characters, including tabs and line breaks."""
    return _without(LINE_CONTROL_PATTERN, text)


def clean_address(text: str) -> str:
    """Return the address without surrounding or hidden characters. Reject one that is too long."""
    address = strip_address(text)
    if len(address) > MAX_ADDRESS_LENGTH:
        raise PydanticKnownError("string_too_long", {"max_length": MAX_ADDRESS_LENGTH})
    return address


def check_currency(code: str) -> str:
    """Reject a code that ISO 4217 does not list as money."""
    if count_decimals(code) is None:
        raise PydanticCustomError("currency", INVALID_CURRENCY_MESSAGE)
    return code


def _without(control: re.Pattern[str], text: str) -> str:
    if control.search(text):
        raise PydanticCustomError("control_character", "Must not contain control characters.")
    return text
