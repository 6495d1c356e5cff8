"""Values in Stripe's objects: IDs, texts, times and money. Pure.

Source of the special currencies: https://docs.stripe.com/currencies.
"""

import re
from collections.abc import Mapping
from typing import Any

from documents.errors import Unusable
from documents.values.address import MAX_ADDRESS_LENGTH, strip_address
from documents.values.money import MAX_AMOUNT, count_decimals
from documents.values.validators import LINE_CONTROL_PATTERN

# Currencies whose smallest unit at Stripe differs from ISO 4217.
STRIPE_CURRENCY_DECIMALS = {"ISK": 2, "UGX": 2, "MGA": 0}
STRIPE_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)
CURRENCY_CODE_PATTERN = re.compile(r"[A-Za-z0-9]{3,10}", re.ASCII)
MAX_LENGTHS_BY_KIND = {"name": 200}
MAX_STRIPE_TEXT_LENGTH = 1000
# Metadata fields that fundraising platforms set, and the facts that they become.
METADATA_FIELDS = {
    "fundraiser_id": "fundraiser_id",
    "email_id": "email_ref",
    "recurring_id": "recurring_id",
}

StripeObject = Mapping[str, Any]


def read_object_id(thing: StripeObject) -> str:
    found = read_reference(thing.get("id"))
    if found is None:
        raise Unusable("the object has no id")
    return found


def read_reference(value: Any) -> str | None:
    """Return the ID in a reference to an object, which Stripe sends as an ID or expanded."""
    id_ = value.get("id") if isinstance(value, Mapping) else value
    return id_ if isinstance(id_, str) and STRIPE_ID_PATTERN.fullmatch(id_) else None


def read_string(value: Any, kind: str = "") -> str | None:
    if not isinstance(value, str):
        return None
    text = LINE_CONTROL_PATTERN.sub("", value).encode("utf-8", "replace").decode().strip()
    if kind == "email":
        text = strip_address(text)
        return text if len(text) <= MAX_ADDRESS_LENGTH and "@" in text else None
    return text[: MAX_LENGTHS_BY_KIND.get(kind, MAX_STRIPE_TEXT_LENGTH)] or None


def read_unix_seconds(value: Any) -> float | None:
    usual = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**33
    return value if usual else None


class UnknownCurrency(Unusable):
    """The currency code is not in ISO 4217, so its amounts have no exponent."""


def read_currency(thing: StripeObject) -> str:
    code = read_currency_code(thing)
    if count_decimals(code) is None:
        raise UnknownCurrency("the currency is not one of ISO 4217")
    return code


def read_currency_code(thing: StripeObject) -> str:
    """Return the currency code in upper case, even if ISO 4217 does not define it."""
    code = thing.get("currency")
    if not isinstance(code, str) or not CURRENCY_CODE_PATTERN.fullmatch(code):
        raise Unusable("the currency is not one of ISO 4217")
    return code.upper()


def convert_amount(value: Any, currency: str) -> int:
    """Convert an amount from Stripe's smallest unit to ISO 4217's minor units.

    They differ for three currencies. Round hundredths that ISO 4217 does not define to a whole
    unit.
    """
    whole: int = _whole(value)
    ours = count_decimals(currency)
    if ours is None:
        raise UnknownCurrency("the currency is not one of ISO 4217")
    more = ours - STRIPE_CURRENCY_DECIMALS.get(currency, ours)
    if more < 0:
        unit: int = 10**-more
        return (whole + unit // 2) // unit
    if whole * 10**more > MAX_AMOUNT:
        raise Unusable("an amount is too large")
    return int(whole * 10**more)


def convert_reported_amount(value: Any, currency: str) -> int:
    """Return the amount in ISO 4217's minor units, or as reported if the currency is unknown."""
    return _whole(value) if count_decimals(currency) is None else convert_amount(value, currency)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_AMOUNT:
        raise Unusable("an amount is not a whole number of the smallest unit")
    return value


def read_metadata(metadata: Any) -> dict[str, str]:
    """Return the metadata that a fundraising platform set for Matchback."""
    if not isinstance(metadata, Mapping):
        return {}
    found = {name: read_string(metadata.get(theirs)) for theirs, name in METADATA_FIELDS.items()}
    return {name: value for name, value in found.items() if value}
