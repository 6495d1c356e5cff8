"""Numbers, money and times in the formats of an organization's locale."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from babel.localedata import locale_identifiers
from hypothesis import given
from hypothesis import strategies as st

from documents.values.money import _MINOR_UNITS, MAX_AMOUNT, count_decimals
from service.dashboard.presentation.formats import NONE, Formats, formats_of
from service.dashboard.presentation.language import language_of

NEW_YORK = ZoneInfo("America/New_York")
AT = datetime(2026, 11, 28, 6, 22, 5, tzinfo=UTC)
TAGS = sorted(tag.replace("_", "-") for tag in locale_identifiers())
# The spaces of CLDR, and its marks of direction.
SPACES = re.compile(r"[\s\u200e\u200f\u061c\u2067\u2069]+")


def formats(tag: str) -> Formats:
    return formats_of(language_of(tag), NEW_YORK)


def plain(text: str) -> str:
    return SPACES.sub(" ", text).strip()


@pytest.mark.parametrize(
    ("tag", "amount", "currency", "text"),
    [
        ("en-US", 449500, "USD", "$4,495.00"),
        ("de-DE", 449500, "EUR", "4.495,00 €"),
        ("fr-FR", 449500, "EUR", "4 495,00 €"),
        ("en-US", 1500, "JPY", "¥1,500"),
        ("en-US", 1234567, "KWD", "KWD 1,234.567"),
        ("de-DE", 1955, "HRK", "19,55 HRK"),  # withdrawn
        ("en-US", 7, "ANG", "ANG 0.07"),
        ("en-US", 193627, "ITL", "ITL 193,627"),
        ("en-US", 12300, "ISK", "ISK 12,300"),
        ("en-US", 100, "HUF", "HUF 1.00"),  # ISO 4217 has the decimals that CLDR leaves out
        ("en-US", -50, "USD", "-$0.50"),
        ("de-DE", -50, "USD", "-0,50 $"),
        ("en-US", 713.5, "USD", "$7.14"),
        ("en-US", 0.4, "USD", "$0.00"),
        ("en-US", -0.4, "USD", "$0.00"),  # no negative zero
        ("de-CH", 123456789, "CHF", "CHF 1’234’567.89"),
        ("he-IL", 449500, "ILS", "4,495.00 ₪"),
        ("ar-EG", 449500, "USD", "4,495.00 US$"),
        ("en-US", 1955, "QQQ", "1,955 minor units of QQQ"),
        ("en-US", 19.55, "QQQ", "20 minor units of QQQ"),
    ],
)
def test_money(tag: str, amount: float, currency: str, text: str) -> None:
    assert plain(formats(tag).money(amount, currency)) == text


def test_a_missing_figure_is_a_dash() -> None:
    english = formats("en-US")
    assert english.money(None, "USD") == NONE
    assert (english.number(None), english.percent(None), english.share(1.2)) == (NONE, NONE, NONE)


@pytest.mark.parametrize(
    ("tag", "number", "percent", "moment", "second", "day"),
    [
        ("en-US", "12,345", "89.9%", "Nov 28, 2026, 1:22 AM", "Nov 28, 2026, 1:22:05 AM", "Nov 28"),
        ("de-DE", "12.345", "89,9 %", "28.11.2026, 01:22", "28.11.2026, 01:22:05", "28. Nov."),
        ("fr-CH", "12’345", "89,9%", "28 nov. 2026, 01:22", "28 nov. 2026, 01:22:05", "28 nov."),
        ("ja-JP", "12,345", "89.9%", "2026/11/28 1:22", "2026/11/28 1:22:05", "11月28日"),
    ],
)
def test_numbers_and_times(
    tag: str, number: str, percent: str, moment: str, second: str, day: str
) -> None:
    its = formats(tag)
    assert plain(its.number(12345)) == number
    assert plain(its.percent(0.899)) == percent
    assert plain(its.moment(AT)) == moment
    assert plain(its.second(AT)) == second
    assert plain(its.day(AT.astimezone(NEW_YORK).date())) == day


def test_a_time_is_in_the_time_zone_of_the_organization() -> None:
    kathmandu = formats_of(language_of("en-US"), ZoneInfo("Asia/Kathmandu"))
    assert plain(kathmandu.second(AT)) == "Nov 28, 2026, 12:07:05 PM"
    assert plain(formats("en-US").whole_day(datetime(2026, 11, 28, 3, tzinfo=UTC))) == (
        "Nov 27, 2026"
    )


def test_a_date_from_right_to_left_is_isolated_from_an_english_page() -> None:
    for text in (formats("ar-EG").moment(AT), formats("he-IL").hour(AT)):
        assert (text[0], text[-1]) == ("\N{RIGHT-TO-LEFT ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}")
    assert formats("en-US").moment(AT)[0] == "N"


@pytest.mark.parametrize(
    ("tag", "seconds", "text"),
    [
        ("en-US", 1, "1 second"),
        ("en-US", 12.4, "12 seconds"),
        ("en-US", 600, "10 minutes"),
        ("de-DE", 1, "1 Sekunde"),
        ("de-DE", 7200, "2 Stunden"),
        ("fr-FR", 12, "12 seconds"),  # no catalogue is French, so texts are English
    ],
)
def test_a_duration_is_in_the_language_of_the_texts(tag: str, seconds: float, text: str) -> None:
    assert plain(formats(tag).duration(seconds)) == text


@given(
    tag=st.sampled_from(TAGS),
    currency=st.sampled_from(sorted(_MINOR_UNITS)),
    amount=st.integers(-MAX_AMOUNT * 9, MAX_AMOUNT * 9),
)
def test_no_locale_and_no_currency_changes_a_digit(tag: str, currency: str, amount: int) -> None:
    shown = formats(tag).money(amount, currency)
    digits = "".join(one for one in shown if one in "0123456789")
    assert digits == str(abs(amount)).zfill((count_decimals(currency) or 0) + 1)
    assert any(sign in shown for sign in "-−‎(") or amount >= 0


def test_every_locale_of_cldr_formats_everything() -> None:
    """One test for a thousand locales, because each test takes longer than its locale."""
    for tag in TAGS:
        its = formats(tag)
        assert "12" in its.number(12), tag
        assert "12" in its.percent(0.12), tag
        assert "28" in its.moment(AT), tag
        assert its.second(AT), tag
        assert its.hour(AT), tag
        assert its.axis(1.5), tag
        assert its.language.tag, tag
