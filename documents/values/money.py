"""Money: an integer of minor units and an ISO 4217 currency. Never a float."""

from collections.abc import Mapping
from typing import Any, Final

from iso4217 import Currency

from documents.values.withdrawn_currencies import WITHDRAWN_DECIMALS

# Ten billion major units of most currencies. A 64-bit counter can hold nine million such gifts.
MAX_AMOUNT = 10**12


# Gold, funds and test codes have no minor unit in the list, so they are not money.
_ACTIVE = {one.code: int(one.exponent) for one in Currency if one.exponent is not None}
_MINOR_UNITS: Mapping[str, int] = WITHDRAWN_DECIMALS | _ACTIVE
INVALID_CURRENCY_MESSAGE: Final = (
    "Must be an ISO 4217 currency, active or withdrawn, such as USD. "
    "Metals and codes without a minor unit are not accepted."
)


def count_decimals(code: str) -> int | None:
    """Return the currency's number of decimals (2 for USD, 0 for JPY), or None if it is not money.

    An unknown code returns None, because any default could be incorrect.

    Sources: ISO 4217, list one; for withdrawn currencies, see withdrawn_currencies.py.
    """
    return _MINOR_UNITS.get(code)


def to_money(amount: int | None, currency: str | None) -> dict[str, Any] | None:
    """Return money in the form that the API uses."""
    return None if amount is None else {"amount": amount, "currency": currency}


def to_money_fields(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Replace the money field `name` by the stored fields `<name>_amount` and `<name>_currency`."""
    rest = {key: value for key, value in values.items() if key != name}
    if name in values:
        money = values[name] or {"amount": None, "currency": None}
        rest |= {f"{name}_{part}": money[part] for part in ("amount", "currency")}
    return rest


def format_money_amount(amount: int, code: str) -> str:
    """Format money for people: `format_money_amount(123456, "USD")` is "1,234.56 USD"."""
    decimals = count_decimals(code)
    if decimals is None:
        return f"{amount:,} minor units of {code}"
    whole, part = divmod(abs(amount), 10**decimals)
    sign = "-" if amount < 0 else ""
    fraction = f".{part:0{decimals}d}" if decimals else ""
    return f"{sign}{whole:,}{fraction} {code}"


def to_major_units(amount: float, code: str) -> float | None:
    """Convert minor units to major units (1234 to 12.34). Return None for an unknown currency."""
    decimals = count_decimals(code)
    return None if decimals is None else amount / 10**decimals
