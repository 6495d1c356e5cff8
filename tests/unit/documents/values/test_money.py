"""Money: every current or former currency of ISO 4217, and no other, has a known minor unit."""

from decimal import Decimal

import iso_4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.values.money import MAX_AMOUNT, count_decimals, format_money_amount, to_major_units
from documents.values.stripe_values import UnknownCurrency, convert_amount, read_currency
from documents.values.withdrawn_currencies import NON_MONEY_CODES, WITHDRAWN_DECIMALS
from service.dashboard.presentation import tables, wording

ACTIVE = {one.name: one.subunit_exp for one in iso_4217.Currency if one.entities}
HISTORIC = {one.name for one in iso_4217.Currency if not one.entities}
MONEY = {code: units for code, units in ACTIVE.items() if units is not None} | WITHDRAWN_DECIMALS
# Metals, funds and test codes, which ISO 4217 lists without a minor unit.
SPECIAL = sorted({code for code, units in ACTIVE.items() if units is None} | NON_MONEY_CODES)
UNKNOWN = ["QQQ", "usd", "bgn", "", "US", "USDC", "BTC", "XBT", "N.A.", "ＵＳＤ", " USD", "USD\n"]


@pytest.mark.parametrize(
    ("code", "decimals"),
    [
        *[("USD", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("UYW", 4), ("MGA", 2)],
        *[("BGN", 2), ("HRK", 2), ("ANG", 2), ("CUC", 2), ("ZWL", 2), ("DEM", 2), ("ITL", 0)],
        *[("LTL", 2), ("MTL", 2), ("BYR", 0), ("TRL", 0), ("VEF", 2), ("GHC", 2), ("YDD", 3)],
        # CLDR defines how to round prices in these currencies, and ISO 4217 gave them hundredths.
        *[("SLL", 2), ("STD", 2), ("MRO", 2), ("ZMK", 2), ("ISK", 0), ("HUF", 2), ("IQD", 3)],
    ],
)
def test_each_currency_has_its_minor_unit(code: str, decimals: int | None) -> None:
    assert count_decimals(code) == decimals


def test_every_currency_of_both_lists_of_iso_4217_is_known() -> None:
    """After ISO's next amendment, an updated library shows here which currencies were withdrawn."""
    assert {code: count_decimals(code) for code in MONEY} == MONEY
    assert set(WITHDRAWN_DECIMALS) | NON_MONEY_CODES == HISTORIC


@pytest.mark.parametrize("code", [*SPECIAL, *UNKNOWN])
def test_codes_that_are_not_money_have_no_minor_unit(code: str) -> None:
    assert count_decimals(code) is None


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [
        (123456, "USD", "1,234.56 USD"),
        (5, "USD", "0.05 USD"),
        (-1250, "EUR", "-12.50 EUR"),
        (3000, "JPY", "3,000 JPY"),
        (1234, "KWD", "1.234 KWD"),
        (1955, "BGN", "19.55 BGN"),
        (7, "ANG", "0.07 ANG"),
        (193627, "ITL", "193,627 ITL"),
        (1955, "QQQ", "1,955 minor units of QQQ"),
    ],
)
def test_money_is_shown_in_readable_form(number: int, code: str, text: str) -> None:
    assert format_money_amount(number, code) == text


@given(
    code=st.sampled_from(sorted(MONEY)),
    number=st.integers(-MAX_AMOUNT * 9, MAX_AMOUNT * 9),
)
def test_the_shown_amount_is_correct_in_every_currency(code: str, number: int) -> None:
    shown, _, shown_code = format_money_amount(number, code).partition(" ")
    unit = Decimal(10) ** MONEY[code]
    assert shown_code == code
    assert Decimal(shown.replace(",", "")) * unit == number
    assert Decimal(wording.format_amount(number, code)) * unit == number
    assert to_major_units(number, code) == pytest.approx(float(number / unit))


# https://docs.stripe.com/currencies: zero-decimal and three-decimal currencies, special cases.
ZERO_DECIMAL = "BIF CLP DJF GNF JPY KMF KRW PYG RWF VND VUV XAF XOF XPF".split()
THREE_DECIMAL = "BHD JOD KWD OMR TND".split()
WITHDRAWN_AT_STRIPE = "ANG BGN EEK HRK LTL LVL MRO SLL STD VEF ZMK".split()  # two decimals


@pytest.mark.parametrize(
    ("code", "decimals", "ours"),
    [
        *[(code, 0, 12300) for code in ZERO_DECIMAL],
        *[(code, 3, 12300) for code in THREE_DECIMAL],
        *[(code, 2, 12300) for code in (*WITHDRAWN_AT_STRIPE, "HUF", "TWD", "USD")],
        *[(code, 0, 123) for code in ("ISK", "UGX")],
        ("MGA", 2, 1_230_000),
    ],
)
def test_stripes_amounts_are_converted(code: str, decimals: int, ours: int) -> None:
    assert count_decimals(code) == decimals
    assert convert_amount(12300, code) == ours
    assert read_currency({"currency": code.lower()}) == code


@pytest.mark.parametrize("code", [*SPECIAL, "qqq"])
def test_stripes_amounts_in_an_unknown_currency_are_not_guessed(code: str) -> None:
    with pytest.raises(UnknownCurrency):
        read_currency({"currency": code})
    with pytest.raises(UnknownCurrency):
        convert_amount(100, code)


def test_an_unknown_currency_is_shown_without_a_guess_everywhere() -> None:
    assert to_major_units(1955, "QQQ") is None
    assert wording.format_amount(1955, "QQQ") == "1955 minor units"
    assert tables._larger(19.5, "QQQ") is None
