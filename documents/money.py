"""Money: an integer of minor units and an ISO 4217 currency. Never a float."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from iso4217 import Currency

# Ten thousand million of the larger unit of most currencies; nine million such gifts still add
# up within the 64 bits of a counter.
LARGEST_AMOUNT = 10**12


@cache
def minor_units(code: str) -> int | None:
    """How many decimals the currency has (2 for USD, 0 for JPY), None when it is not money.

    Source: ISO 4217, list one. Gold, test codes and the like have no minor unit.
    """
    try:
        exponent = Currency(code).exponent
    except ValueError:
        return None
    return None if exponent is None else int(exponent)


def as_money(amount: int | None, currency: str | None) -> dict[str, Any] | None:
    """The form of money in requests and answers."""
    return None if amount is None else {"amount": amount, "currency": currency}


def money_fields(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Values with the money under this name as the two stored fields <name>_amount, _currency."""
    rest = {key: value for key, value in values.items() if key != name}
    if name in values:
        money = values[name] or {"amount": None, "currency": None}
        rest |= {f"{name}_{part}": money[part] for part in ("amount", "currency")}
    return rest


def display(amount: int, code: str) -> str:
    """For people: display(123456, "USD") is "1,234.56 USD"."""
    decimals = minor_units(code) or 0
    whole, part = divmod(abs(amount), 10**decimals)
    sign = "-" if amount < 0 else ""
    fraction = f".{part:0{decimals}d}" if decimals else ""
    return f"{sign}{whole:,}{fraction} {code}"
