"""Amounts as people write them: `1,234.50`, `1.234,50 €`, `$25`, `CHF 1'234.50`. Pure.

If an amount has two different separators, the last one is the decimal separator. A separator that
occurs several times separates thousands. One separator before exactly three digits is ambiguous.
Then the other amounts of the file decide. If they prove nothing or contradict each other, the
import must name the decimal separator.
"""

import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal, NamedTuple

from documents.errors import Unusable
from documents.values.money import MAX_AMOUNT, count_decimals

DecimalSeparator = Literal["", ".", ","]

MAX_TEXT_LENGTH = 50
CURRENCY_SIGNS = {
    "$": "USD",
    "US$": "USD",
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "₹": "INR",
    "C$": "CAD",
    "CA$": "CAD",
    "A$": "AUD",
    "AU$": "AUD",
    "NZ$": "NZD",
    "HK$": "HKD",
    "S$": "SGD",
    "R$": "BRL",
}
_PARTS = re.compile(r"(?P<before>[^\d\-+(]{0,8})(?P<number>[\d][\d.,' ]*)(?P<after>[^\d]{0,8})")
_SPACES = {ord(space): " " for space in "\u00a0\u202f\u2009\u2007\t"} | {ord("\u2019"): "'"}
AMBIGUOUS = "The amount is ambiguous. Choose whether a comma or a point separates decimals"


@dataclass
class DecimalVote:
    """Evidence of the decimal separator, from all amounts of a file."""

    comma: bool = False
    point: bool = False

    def add(self, text: str) -> None:
        """Take an amount into account. Ambiguous texts prove nothing."""
        if (parts := _split_text(text)) is None:
            return
        number = _drop_spaces(parts["number"])
        with suppress(Unusable):
            separator = _find_decimal_separator(number)
            _read_number(number, separator)
            repeated = [char for char in ",." if number.count(char) > 1]
            proven = separator or {",": ".", ".": ","}.get("".join(repeated), "")
            self.comma = self.comma or proven == ","
            self.point = self.point or proven == "."

    @property
    def separator(self) -> DecimalSeparator:
        """The separator that the file proves, or empty."""
        if self.comma == self.point:
            return ""
        return "," if self.comma else "."


class ReadAmount(NamedTuple):
    """An amount in minor units, and the currency's code if the text names one."""

    amount: int
    currency: str


def read_amount(text: str, currency: str, decimal: DecimalSeparator = "") -> ReadAmount:
    """Read an amount.

    Args:
        currency: code of the currency if the text names none.
        decimal: the decimal separator, if a person chose it.

    Raises:
        Unusable: the text is not an amount of the currency, or ambiguous.
    """
    if (parts := _split_text(text)) is None:
        raise Unusable("Must be an amount such as 1234.50")
    code = _read_currency(parts["before"], parts["after"]) or currency
    return ReadAmount(to_minor_units(_read_number(parts["number"], decimal), code), code)


def to_minor_units(number: Decimal, currency: str) -> int:
    """Return an amount in minor units.

    Raises:
        Unusable: the currency is unknown, or the amount has more decimals than the currency.
    """
    decimals = count_decimals(currency)
    if decimals is None:
        raise Unusable("Must have an ISO 4217 currency, such as USD")
    try:
        minor = number.scaleb(decimals)
        if minor != minor.to_integral_value() or not 0 < minor <= MAX_AMOUNT:
            raise Unusable(f"Must be more than 0, with at most {decimals} decimals")
    except InvalidOperation:
        raise Unusable("Must be an amount such as 1234.50") from None
    return int(minor)


def _split_text(text: str) -> re.Match[str] | None:
    """Return the parts of an amount: the number, and the texts before and after it."""
    if len(text) > MAX_TEXT_LENGTH:
        return None
    plain = unicodedata.normalize("NFC", text).translate(_SPACES).strip()
    return _PARTS.fullmatch(plain)


def _drop_spaces(number: str) -> str:
    return number.replace(" ", "").replace("'", "")


def _read_currency(before: str, after: str) -> str:
    names = [name for name in (before.strip(), after.strip()) if name]
    codes = {CURRENCY_SIGNS.get(name, name.upper()) for name in names}
    if len(codes) > 1 or any(count_decimals(code) is None for code in codes):
        raise Unusable("Must be an amount with one currency, such as 1234.50 USD")
    return codes.pop() if codes else ""


def _read_number(text: str, decimal: DecimalSeparator) -> Decimal:
    text = _drop_spaces(text)
    separator = decimal or _find_decimal_separator(text)
    whole, _, fraction = text.partition(separator) if separator else (text, "", "")
    thousands = "," if separator == "." else "." if separator == "," else ",."
    if not _is_grouped(whole, thousands) or not (fraction.isdigit() or not fraction):
        raise Unusable("Must be an amount such as 1234.50")
    digits = re.sub(r"[.,]", "", whole)
    return Decimal(f"{digits}.{fraction or 0}")


def _find_decimal_separator(text: str) -> DecimalSeparator:
    """Return the decimal separator; empty if the amount has no decimals."""
    commas, points = text.count(","), text.count(".")
    if commas and points:
        return "," if text.rindex(",") > text.rindex(".") else "."
    if commas + points != 1:
        return ""  # none, or one that occurs several times, so it separates thousands
    used: DecimalSeparator = "," if commas else "."
    if len(text) - text.index(used) == 4 and text.index(used) <= 3:  # such as 1,234
        raise Unusable(AMBIGUOUS)
    return used


def _is_grouped(whole: str, separators: str) -> bool:
    """Return whether the whole part has digits only, or groups of three."""
    used = {char for char in whole if not char.isdigit()}
    if not used:
        return whole.isascii()
    if len(used) > 1 or not used <= set(separators):
        return False
    first, *groups = whole.split(used.pop())
    return (
        1 <= len(first) <= 3
        and all(len(group) in (2, 3) for group in groups[:-1])
        and (len(groups[-1]) == 3)
    )
