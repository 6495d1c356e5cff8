"""The values in Stripe's objects: IDs, texts, times and money. Pure.

Source of the special currencies: https://docs.stripe.com/currencies.
"""

import re
from collections.abc import Mapping
from typing import Any

from documents.errors import Unusable
from documents.values.address import LONGEST_ADDRESS, cleaned
from documents.values.money import LARGEST_AMOUNT, minor_units
from documents.values.validators import CONTROL_IN_LINE

# Where Stripe's smallest unit is not ISO 4217's.
STRIPE_DECIMALS = {"ISK": 2, "UGX": 2, "MGA": 0}
ID = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)
CURRENCY = re.compile(r"[A-Za-z0-9]{3,10}", re.ASCII)
LONGEST = {"name": 200}
LONGEST_TEXT = 1000
# The fields that fundraising platforms put into metadata, and the facts that they become.
METADATA = {
    "fundraiser_id": "fundraiser_id",
    "email_id": "email_ref",
    "recurring_id": "recurring_id",
}

Object = Mapping[str, Any]


def id_of(thing: Object) -> str:
    found = ref(thing.get("id"))
    if found is None:
        raise Unusable("the object has no id")
    return found


def ref(value: Any) -> str | None:
    """An id, of something that is named by it or expanded."""
    id_ = value.get("id") if isinstance(value, Mapping) else value
    return id_ if isinstance(id_, str) and ID.fullmatch(id_) else None


def text(value: Any, kind: str = "") -> str | None:
    if not isinstance(value, str):
        return None
    text = CONTROL_IN_LINE.sub("", value).encode("utf-8", "replace").decode().strip()
    if kind == "email":
        text = cleaned(text)
        return text if len(text) <= LONGEST_ADDRESS and "@" in text else None
    return text[: LONGEST.get(kind, LONGEST_TEXT)] or None


def seconds(value: Any) -> float | None:
    usual = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**33
    return value if usual else None


class UnknownCurrency(Unusable):
    """The currency is a code that ISO 4217 does not define, so amounts in it have no exponent."""


def currency_of(thing: Object) -> str:
    code = code_of(thing)
    if minor_units(code) is None:
        raise UnknownCurrency("the currency is not one of ISO 4217")
    return code


def code_of(thing: Object) -> str:
    """Return the code of a currency in upper case, whether ISO 4217 defines it or not."""
    code = thing.get("currency")
    if not isinstance(code, str) or not CURRENCY.fullmatch(code):
        raise Unusable("the currency is not one of ISO 4217")
    return code.upper()


def amount(value: Any, currency: str) -> int:
    """Convert an amount from Stripe's smallest unit to ISO 4217's minor units.

    They differ for three currencies. Hundredths that ISO 4217 does not have are rounded to a
    whole.
    """
    whole: int = _whole(value)
    ours = minor_units(currency)
    if ours is None:
        raise UnknownCurrency("the currency is not one of ISO 4217")
    more = ours - STRIPE_DECIMALS.get(currency, ours)
    if more < 0:
        unit: int = 10**-more
        return (whole + unit // 2) // unit
    if whole * 10**more > LARGEST_AMOUNT:
        raise Unusable("an amount is too large")
    return int(whole * 10**more)


def reported_amount(value: Any, currency: str) -> int:
    """Return the amount in ISO 4217's minor units, or as reported if the currency is unknown."""
    return _whole(value) if minor_units(currency) is None else amount(value, currency)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_AMOUNT:
        raise Unusable("an amount is not a whole number of the smallest unit")
    return value


def ours(metadata: Any) -> dict[str, str]:
    """Return what a fundraising platform put into metadata for Matchback."""
    if not isinstance(metadata, Mapping):
        return {}
    found = {name: text(metadata.get(theirs)) for theirs, name in METADATA.items()}
    return {name: value for name, value in found.items() if value}
