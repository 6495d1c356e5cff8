"""Numbers and money in the formats of a locale. Pure.

Babel has the formats of CLDR. The decimals of money come from ISO 4217. CLDR omits decimals that
people do not use, and does not know every withdrawn currency.
"""

import re
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import lru_cache

from babel.core import Locale
from babel.numbers import NumberPattern, get_currency_symbol, parse_pattern

from documents.values.money import count_decimals

DIGITS = 40  # a sum of money has at most 64 bits, and a ratio fewer decimals than a double
TEXTS_KEPT = 8_192  # of each kind; reports repeat small numbers
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
WHOLE = re.compile(r"[0-9]+")


@lru_cache(TEXTS_KEPT)
def format_number(locale: Locale, value: int | float) -> str:
    """Format a number, as 12,345."""
    with localcontext(prec=DIGITS):
        return _apply(locale.decimal_formats[None], Decimal(repr(value)), locale)


@lru_cache(TEXTS_KEPT)
def format_percent(locale: Locale, fraction: float, decimals: int = 1) -> str:
    """Format a fraction, as 12.3%."""
    pattern = _with_decimals(locale.percent_formats[None].pattern, decimals)
    with localcontext(prec=DIGITS):
        return _apply(pattern, _rounded(Decimal(repr(fraction)), decimals + 2), locale)


@lru_cache(TEXTS_KEPT)
def format_money(locale: Locale, amount: int | float, currency: str) -> str:
    """Format minor units, as $1,234.56. Round fractions of a minor unit."""
    decimals = count_decimals(currency) or 0
    with localcontext(prec=DIGITS):
        exact = Decimal(repr(amount)).scaleb(-decimals)
        pattern = _currency_pattern(locale, currency, decimals)
        return _apply(pattern, _rounded(exact, decimals), locale)


def format_short_money(locale: Locale, amount: int, currency: str) -> str:
    """Format minor units without decimals if these are zero, as $1,234."""
    unit = 10 ** (count_decimals(currency) or 0)
    if amount % unit:
        return format_money(locale, amount, currency)
    with localcontext(prec=DIGITS):
        pattern = _currency_pattern(locale, currency, 0)
        return _apply(pattern, Decimal(amount // unit), locale)


@lru_cache(1_024)
def _currency_pattern(locale: Locale, currency: str, decimals: int) -> NumberPattern:
    """Return the pattern with the currency's symbol.

    CLDR puts a space between digits and a symbol of letters, which Babel does not.
    """
    symbol = get_currency_symbol(currency, locale=locale)
    pattern: str = locale.currency_formats["standard"].pattern
    made = _with_decimals(pattern, decimals)
    (plus, minus), (plus_end, minus_end) = made.prefix, made.suffix
    made.prefix = _symbol_before(plus, symbol), _symbol_before(minus, symbol)
    made.suffix = _symbol_after(plus_end, symbol), _symbol_after(minus_end, symbol)
    return made


def _symbol_before(text: str, symbol: str) -> str:
    space = NO_BREAK_SPACE if text.endswith("¤") and symbol[-1:].isalpha() else ""
    return text.replace("¤", symbol + space)


def _symbol_after(text: str, symbol: str) -> str:
    space = NO_BREAK_SPACE if text.startswith("¤") and symbol[:1].isalpha() else ""
    return text.replace("¤", space + symbol)


def _apply(pattern: NumberPattern, value: Decimal, locale: Locale) -> str:
    """Format a number.

    Babel drops apostrophes between digits, which it takes for quotation marks. So Swiss formats
    get theirs here.
    """
    is_swiss = locale.number_symbols["latn"]["group"] == "'"
    text: str = pattern.apply(value, locale, group_separator=not is_swiss)
    return (
        WHOLE.sub(lambda found: f"{int(found[0]):,}".replace(",", "’"), text, 1)
        if is_swiss
        else text
    )


def _with_decimals(pattern: str, decimals: int) -> NumberPattern:
    made = parse_pattern(pattern)
    made.frac_prec = (decimals, decimals)
    return made


def _rounded(value: Decimal, decimals: int) -> Decimal:
    """Round half to even. A value that rounds to zero loses its sign."""
    rounded = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
    return rounded if rounded else abs(rounded)
