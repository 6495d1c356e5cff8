"""Rows of a table become bodies of POST: columns by their names, amounts and dates as written."""

import io
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.imports.amounts import DecimalVote, read_amount, to_minor_units
from documents.imports.dates import DateOrderVote, read_date
from documents.imports.fields import FIELDS
from documents.imports.records import ImportOptions, RecordReader, RowError
from documents.imports.tables.header import map_columns
from documents.imports.tables.open_table import open_table

NEW_YORK = ZoneInfo("America/New_York")


def read_bodies(
    kind: Any, text: str, options: ImportOptions | None = None, codec: str = "utf-8"
) -> list[Any]:
    """Return the body of each row, or the field with an error."""
    content = text.encode(codec)
    reader = RecordReader(kind, open_table(io.BytesIO(content)).columns, options)
    reader.survey_rows(open_table(io.BytesIO(content)))
    return [
        read_body(reader, row.cells) if isinstance(row.cells, dict) else row.error
        for row in open_table(io.BytesIO(content)).rows
    ]


def find_date_order(texts: Iterable[str]) -> str:
    vote = DateOrderVote()
    for text in texts:
        vote.add(text)
    return vote.order


def read_body(reader: RecordReader, cells: Mapping[str, Any]) -> Any:
    try:
        return reader.read_body(cells)
    except RowError as error:
        return error.field


def test_an_audience_of_mailchimp_is_a_list_of_people() -> None:
    text = 'Email Address,First Name,Last Name,MEMBER_RATING\nBob@x.edu,Bob,"Baker, Jr.",2\n'
    assert read_bodies("users", text) == [{"name": "Bob Baker, Jr.", "email": "Bob@x.edu"}]
    (email,) = read_bodies("emails", text, ImportOptions(defaults={"mailing_id": "1" * 24}))
    assert email == {
        "mailing_id": "1" * 24,
        "user": {"name": "Bob Baker, Jr.", "email": "Bob@x.edu"},
    }


def test_european_and_american_gifts_are_read_by_their_own_conventions() -> None:
    german = "Gift Date;Gift Amount;Currency;Email;Name\n28.11.2026;1.234,50;EUR;z@x.de;Zoë\n"
    german += "03.12.2026;25,00;EUR;;Spende bar\n03.12.2026;1.500;EUR;;Spende bar\n"
    berlin = ImportOptions(zone=ZoneInfo("Europe/Berlin"))
    first, cash, thousand = read_bodies("donations", german, berlin, "cp1252")
    assert first == {
        "donor": {"name": "Zoë", "email": "z@x.de"},
        "amount": 123450,
        "currency": "EUR",
        "donated_at": "2026-11-28T22:59:59+00:00",
    }
    assert (cash["donor"], cash["amount"]) == ({"name": "Spende bar"}, 2500)
    assert thousand["amount"] == 150_000  # the other amounts prove the decimal comma

    american = 'Gift ID,Date,Amount,Constituent Name\nG-1,11/28/2026,"$1,234.50",Ann\n'
    american += 'G-2,12/03/2026,$25,\nG-3,1/2/2026,"1,234",\n'
    one, two, three = read_bodies("donations", american)
    assert (one["external_id"], one["amount"], one["currency"]) == ("G-1", 123450, "USD")
    assert two["donated_at"].startswith("2026-12-03")
    assert three == "amount"  # it names no currency


@pytest.mark.parametrize("kind", list(FIELDS))
def test_no_column_name_means_two_fields(kind: Any) -> None:
    named = [name for field, names in FIELDS[kind].items() for name in (field, *names)]
    fields = [next(iter(map_columns([name], FIELDS[kind]).values())) for name in named]
    expected = [field for field, names in FIELDS[kind].items() for _ in (field, *names)]
    assert fields == expected


@pytest.mark.parametrize("name", ["EMAIL_ADDRESS", " e-mail  address ", "\ufeffE‑Mail", "Émail"])
def test_a_column_is_known_in_any_spelling(name: str) -> None:
    assert map_columns([name], FIELDS["users"]) == {name: "email"}


def test_a_person_chooses_what_a_column_is() -> None:
    text = "Contact,Email,Email Address\nann@x.edu,old,older\n"
    with pytest.raises(Unusable, match="“Email” and “Email Address” both look like email"):
        read_bodies("users", text)
    chosen = ImportOptions(columns={"Contact": "email", "Email": "", "Email Address": ""})
    assert read_bodies("users", text, chosen) == [{"name": "ann@x.edu", "email": "ann@x.edu"}]
    for columns, reason in (
        ({"Missing": "email"}, "no column “Missing”"),
        ({"Email": "mailbox"}, "Choose a field of"),
        ({"Email": "email", "Contact": "email"}, "one column only"),
    ):
        with pytest.raises(Unusable, match=reason):
            read_bodies("users", text, ImportOptions(columns=columns))
    with pytest.raises(Unusable, match="no column for amount"):
        read_bodies("donations", "Email\nann@x.edu\n")


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("1,234.50", 123450, "USD"),
        ("1.234,50 €", 123450, "EUR"),
        ("€1.234,50", 123450, "EUR"),
        ("$25", 2500, "USD"),
        ("CHF 1'234.50", 123450, "CHF"),
        ("1\u202f234,50\u00a0EUR", 123450, "EUR"),
        ("1,234,567", 123456700, "USD"),
        ("12,34,567.00", 123456700, "USD"),
        ("0.5", 50, "USD"),
        ("1.234.567", 123456700, "USD"),
        ("¥500", 500, "JPY"),
    ],
)
def test_an_amount_is_read_as_people_write_it(text: str, amount: int, currency: str) -> None:
    assert read_amount(text, "USD") == (amount, currency)


@pytest.mark.parametrize(
    "text",
    [
        *("", "abc", "-5", "(5)", "$-5", "0", "1e5", "1,234", "1.234", "12,345,67", "1,23.4"),
        *("10 USD EUR", "10 XXX", "٣", "5%", "9" * 60, "1.2.3", "1 234 5.6.7"),
    ],
)
def test_an_ambiguous_or_invalid_amount_is_an_error(text: str) -> None:
    with pytest.raises(Unusable, match=r"^(Must|The amount is ambiguous)"):
        read_amount(text, "USD")


def test_the_decimal_separator_is_chosen_or_proven() -> None:
    assert read_amount("1,234", "USD", ".").amount == 123_400
    assert read_amount("1,234", "KWD", ",").amount == 1_234
    for texts, separator in (
        (["1,234", "5.50"], "."),
        (["1,234", "1,234,567"], "."),
        (["1.234", "1.234.567"], ","),
        (["1,234", "25"], ""),
        (["5.50", "5,50"], ""),
        (["nonsense", "x" * 99], ""),
    ):
        vote = DecimalVote()
        for text in texts:
            vote.add(text)
        assert vote.separator == separator


@settings(max_examples=100)
@given(st.text(max_size=60))
def test_no_text_breaks_the_readers(text: str) -> None:
    for read in (lambda: read_amount(text, "USD"), lambda: read_date(text, NEW_YORK, "day")):
        try:
            read()
        except Unusable:
            continue
    DecimalVote().add(text)
    find_date_order([text])


@pytest.mark.parametrize(
    ("value", "order", "at"),
    [
        ("28.11.2026", "", "2026-11-29T04:59:59"),
        ("28. 11. 2026 14:30", "", "2026-11-28T19:30:00"),
        ("11/28/2026", "month", "2026-11-29T04:59:59"),
        ("03/12/2026", "day", "2026-12-04T04:59:59"),
        ("11/28/2026 3:05 PM", "month", "2026-11-28T20:05:00"),
        ("11/28/2026 12:00 AM", "month", "2026-11-28T05:00:00"),
        ("5/5/2026", "", "2026-05-06T03:59:59"),
        ("2026-11-28", "", "2026-11-29T04:59:59"),
        ("2026/11/28", "", "2026-11-29T04:59:59"),
        ("2026-11-28T10:00:00+01:00", "", "2026-11-28T09:00:00"),
        (date(2026, 11, 28), "", "2026-11-29T04:59:59"),
        (datetime(2026, 11, 28), "", "2026-11-29T04:59:59"),  # noqa: DTZ001
        (datetime(2026, 11, 28, 9), "", "2026-11-28T14:00:00"),  # noqa: DTZ001
    ],
)
def test_a_date_is_read_in_the_organizations_time_zone(value: Any, order: Any, at: str) -> None:
    assert read_date(value, NEW_YORK, order) == datetime.fromisoformat(at).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        *("", "12/03/2026", "31.02.2026", "13/13/2026", "45989", "28.11.26", "tomorrow"),
        *("2026-11", "11/28/2026 25:00", "11/28/2026 13:00 PM", 45989, True, None, "9" * 100),
    ],
)
def test_an_ambiguous_or_invalid_date_is_an_error(value: Any) -> None:
    with pytest.raises(Unusable, match=r"^(Must|The date is ambiguous)"):
        read_date(value, NEW_YORK)


def test_the_order_of_a_date_is_proven_by_the_file() -> None:
    assert find_date_order(["12/03/2026", "11/28/2026"]) == "month"
    assert find_date_order(["12/03/2026", "28/11/2026"]) == "day"
    assert find_date_order(["12/03/2026", "28/11/2026", "11/28/2026"]) == ""
    assert find_date_order(["12/03/2026", "28.11.2026", "other"]) == ""


def test_a_date_is_never_in_the_future() -> None:
    noon = datetime(2026, 11, 28, 12, tzinfo=UTC)
    options = ImportOptions(currency="USD", now=noon)
    (gift,) = read_bodies("donations", "Amount,Date\n5,2026-11-28\n", options)
    assert gift["donated_at"] == noon.isoformat()


def test_a_workbooks_numbers_keep_their_cents() -> None:
    reader = RecordReader("donations", ["Amount", "Currency", "Gift ID"])
    gift = reader.read_body({"Amount": 0.1 + 0.2, "Currency": "usd", "Gift ID": 1042.0})
    assert gift == {"amount": 30, "currency": "USD", "external_id": "1042"}
    for odd in (True, float("nan"), float("inf"), 1e300, -5, datetime(2026, 1, 1, tzinfo=UTC)):
        with pytest.raises(RowError):
            reader.read_body({"Amount": odd, "Currency": "USD"})
    with pytest.raises(RowError, match="currency column differ"):
        reader.read_body({"Amount": "€5", "Currency": "USD"})
    with pytest.raises(Unusable, match="ISO 4217"):
        to_minor_units(Decimal(1), "XXX")
