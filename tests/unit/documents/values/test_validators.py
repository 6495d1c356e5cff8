"""The API and the plain payment webhook validate texts, addresses and currencies alike."""

from collections.abc import Callable

import pytest
from pydantic_core import PydanticCustomError, PydanticKnownError

from documents.values.validators import check_currency, check_line, check_text, clean_address

CONTROL = [chr(code) for code in (*range(32), 127)]
BREAKS = "\t\n\r"


@pytest.mark.parametrize(("check", "allowed"), [(check_text, BREAKS), (check_line, "")])
def test_control_characters_are_rejected(check: Callable[[str], str], allowed: str) -> None:
    for sign in CONTROL:
        text = f"Bob{sign}Baker"
        if sign in allowed:
            assert check(text) == text
            continue
        with pytest.raises(PydanticCustomError, match="control characters"):
            check(text)
    assert check("Bób  Bäker \u00a0 …") == "Bób  Bäker \u00a0 …"


def test_an_address_is_cleaned_and_bounded() -> None:
    assert clean_address(" <bob@example.edu>\u200b") == "bob@example.edu"
    with pytest.raises(PydanticKnownError):
        clean_address(f"{'b' * 300}@example.edu")


@pytest.mark.parametrize("code", ["usd", "XAU", "ZZZ", ""])
def test_an_invalid_currency_is_rejected_without_its_value(code: str) -> None:
    assert check_currency("USD") == "USD"
    with pytest.raises(PydanticCustomError) as raised:
        check_currency(code)
    assert not code or f" {code} " not in f" {raised.value} "
