"""Figures in text, in files and in charts. Pure."""

from datetime import date, datetime
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from documents.reports.figures import DayLine, HourLine
from service.api.csv_cells import escape_cell
from service.dashboard.presentation import charts, time_axis, wording
from service.dashboard.presentation.csv_file import to_csv
from service.dashboard.presentation.formats import formats_of
from service.dashboard.presentation.language import language_of

NEW_YORK = ZoneInfo("America/New_York")
FORMATS = formats_of(language_of("en-US"), NEW_YORK)


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1",
        "-1+2",
        "-x",
        "\uff1d1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        " =1",
        "|cmd",
        "%0A",
        '=HYPERLINK("x")',
    ],
)
def test_a_cell_with_a_formula_becomes_text(cell: str) -> None:
    assert escape_cell(cell) == f"'{cell}"


UNSEEN = {
    "byte order mark": "\ufeff",
    "zero-width space": "\u200b",
    "zero-width joiner": "\u200d",
    "word joiner": "\u2060",
    "soft hyphen": "\xad",
    "direction mark": "\u200e",
    "direction override": "\u202e",
    "direction isolate": "\u2066",
    "no-break space": "\xa0",
    "ideographic space": "\u3000",
    "line separator": "\u2028",
    "next line": "\x85",
    "null": "\0",
    "escape": "\x1b",
    "variation selector": "\ufe0f",
    "grapheme joiner": "\u034f",
    "Hangul filler": "\u3164",
    "Braille blank": "\u2800",
    "tag": "\U000e0020",
    "private use": "\ue000",
    "unassigned": "\ufdd0",
    "a run of them": "\ufeff\u200b \u202e\u3000\0",
}


@pytest.mark.parametrize("unseen", UNSEEN.values(), ids=UNSEEN.keys())
@pytest.mark.parametrize("sign", "=+-@|%\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u207a")
def test_no_formula_hides_behind_invisible_characters(unseen: str, sign: str) -> None:
    cell = f'{unseen}{sign}HYPERLINK("https://evil.example","Gift")'
    assert escape_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("start", ["\t", "\r", "\n", "\ufeff\t", "\u200b\r"])
def test_a_cell_with_a_leading_tab_or_line_break_becomes_text(start: str) -> None:
    assert escape_cell(f"{start}Spring") == f"'{start}Spring"


def test_many_invisible_characters_cost_linear_time() -> None:
    cell = "\u200b" * 1_000_000
    assert escape_cell(cell) == cell
    assert escape_cell(f"{cell}=1") == f"'{cell}=1"


@pytest.mark.parametrize(
    "cell",
    [
        *["Spring", "1+1", "a=b", "", "-0.05", 12, -12, -1.5, 0],
        *[" Zoë", "\ufeffZoë", "李", "\xe9té", "\u2013", "🎓 = 1", "\u200f"],
    ],
)
def test_other_cells_stay_unchanged(cell: str | float) -> None:
    assert escape_cell(cell) == cell


def test_a_file_declares_utf_8_and_quotes_where_necessary() -> None:
    made = to_csv(["Name", "Gifts"], [['Zoë, "Z"', 3], [None, -1]])
    assert made == '\ufeff"Name","Gifts"\r\n"Zoë, ""Z""",3\r\n"",-1\r\n'.encode()


@pytest.mark.parametrize(
    ("amount", "currency", "cell"),
    [(123456, "USD", "1234.56"), (-5, "USD", "-0.05"), (1500, "JPY", "1500"), (1, "KWD", "0.001")],
)
def test_a_money_cell_is_numeric(amount: int, currency: str, cell: str) -> None:
    assert wording.format_amount(amount, currency) == cell


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (None, "Not matched yet"),
        ({}, "Not matched yet"),
        ({"rule": "pin"}, "Set by staff"),
        (
            {"rule": "donor_address", "touch": "clicked"},
            "The donor clicked this email before the gift",
        ),
        ({"rule": "none", "touch": None}, "No email matches the gift"),
    ],
)
def test_the_reason_is_a_sentence(decision: dict[str, Any] | None, said: str) -> None:
    assert wording.explain_decision(decision) == said


@pytest.mark.parametrize(
    ("match", "label"),
    [
        ("link", "By link"),
        ("address", "By address"),
        ("pinned", "Set by staff"),
        ("none", "No email"),
        (None, "Not matched yet"),
    ],
)
def test_each_match_has_one_label(match: str | None, label: str) -> None:
    assert wording.match_label(match) == label


def day_line(day: date) -> DayLine:
    return {"day": day, "count": 1, "raised": {"USD": 100}}


def hour_line(hour: datetime) -> HourLine:
    return {"hour": hour, "count": 1, "raised": {"USD": 100}}


def test_days_without_gifts_appear_on_the_axis() -> None:
    lines = [day_line(date(2026, 11, 1)), day_line(date(2026, 11, 20))]
    points = time_axis.list_day_points(lines, "USD", FORMATS)
    assert len(points) == 20
    assert [amount for _, amount in points] == [100, *[0] * 18, 100]
    assert (points[0][0], points[-1][0]) == ("Nov 1", "Nov 20")


def test_for_distant_days_the_latest_two_months_are_drawn() -> None:
    lines = [day_line(date(2020, 1, 1)), day_line(date(2026, 11, 20))]
    assert len(time_axis.list_day_points(lines, "USD", FORMATS)) == time_axis.MAX_DAYS_SHOWN


def test_the_repeated_hour_of_a_clock_change_has_two_bars() -> None:
    first = datetime(2026, 11, 1, 1, tzinfo=NEW_YORK)
    again = first.replace(fold=1)
    points = time_axis.list_hour_points([hour_line(first), hour_line(again)], "USD", FORMATS)
    assert [amount for _, amount in points][-2:] == [100, 100]
    assert len(points) == time_axis.MIN_HOURS_SHOWN


def test_a_chart_is_svg_with_a_name_and_without_styles_or_scripts() -> None:
    labels, values = ("<b>1 Nov</b>", "2 Nov"), (12.5, 0.0)
    drawn = charts.draw_bars('Raised "over" time', "1 Nov to 2 Nov", labels, values, FORMATS)
    root = ElementTree.fromstring(f"<div>{drawn}</div>")
    assert [svg.get("class") for svg in root] == ["chart narrow", "chart wide"]
    for svg in root:
        assert svg.get("role") == "img"
        assert svg.get("aria-label") == 'Raised "over" time. 1 Nov to 2 Nov'
        tags = {element.tag.rpartition("}")[2] for element in svg.iter()}
        assert tags <= {"svg", "g", "rect", "path", "text"}
        assert not [element for element in svg.iter() if "style" in element.attrib]
    assert "<b>" not in drawn


@pytest.mark.parametrize("values", [(0.0,), (1e10, 3.0), tuple(float(n) for n in range(62))])
def test_a_chart_of_any_figures_is_drawn(values: tuple[float, ...]) -> None:
    labels = tuple(str(number) for number in range(len(values)))
    assert charts.draw_bars("Raised", "", labels, values, FORMATS).count("<svg") == 2
