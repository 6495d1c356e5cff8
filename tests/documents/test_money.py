"""Money."""

import pytest

from documents.money import display, minor_units


@pytest.mark.parametrize(
    ("code", "decimals"),
    [("USD", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3), ("XAU", None), ("usd", None), ("", None)],
)
def test_currencies_have_their_minor_units(code: str, decimals: int | None) -> None:
    assert minor_units(code) == decimals


@pytest.mark.parametrize(
    ("amount", "code", "text"),
    [
        (123456, "USD", "1,234.56 USD"),
        (5, "USD", "0.05 USD"),
        (-1250, "EUR", "-12.50 EUR"),
        (3000, "JPY", "3,000 JPY"),
        (1234, "KWD", "1.234 KWD"),
    ],
)
def test_money_is_shown_for_people(amount: int, code: str, text: str) -> None:
    assert display(amount, code) == text
