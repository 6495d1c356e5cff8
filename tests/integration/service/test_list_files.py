"""Lists of gifts and recipients as CSV and Excel files, from the pages that show them."""

import csv
import io
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from bson import ObjectId
from falcon import testing

from documents.access.audit import OpenAct
from documents.donation import Donation
from jobs.sweep import sweep_due_records
from service.dashboard.pages import downloads
from service.dashboard.presentation import workbook
from service.dashboard.presentation.lists import ListTable
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.pages import Browser, add_staff

AT = 1_790_000_000
EVE = {"name": "Eve", "email": "eve@example.org"}
HOSTILE = ("=1+1", "+1", "-1", "@SUM(A1)", "#N/A", "\u200b=1", "{=1}")
SENT_AT, GIVEN_AT = "2026-09-20T10:00:00Z", "2026-12-31T23:30:00Z"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def browser(real_client: testing.TestClient, alice: University) -> Browser:
    add_staff(alice.id, "alice@example.edu", "editor")
    signed_in = Browser(real_client)
    signed_in.sign_in("alice@example.edu")
    return signed_in


@pytest.fixture
def ids(alice: University, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(downloads, "GIFTS_A_PIECE", 2)
    alice.call("PATCH", "/v1/organization", {"time_zone": "Asia/Tokyo"})
    alice.set_webhook_key()
    spring, fall = alice.fundraiser(), alice.fundraiser("Fall")
    mailing = alice.mailing(spring, name="Appeal", sent_at=SENT_AT)
    emails = [alice.email(spring, one, mailing_id=mailing, sent_at=SENT_AT) for one in (BOB, EVE)]
    alice.deliver([make_event(emails[0], "delivered", AT), make_event(emails[0], "open", AT + 60)])
    matched = alice.gift(spring, 2550, email_id=emails[0], donated_at=GIVEN_AT, external_id="0012")
    alice.gift(spring, 700, {"name": "=HYPERLINK(1)", "email": ""}, currency="JPY")
    alice.gift(fall, 100, {"name": "Zoë", "email": ""}, donated_at="1900-01-01T00:00:00Z")
    sweep_due_records()
    user = alice.get(f"/v1/emails/{emails[0]}")["user_id"]
    return {"spring": spring, "mailing": mailing, "user": user, "matched": matched}


def load_csv(browser: Browser, path: str, query: str = "") -> list[dict[str, str]]:
    answer = browser.get(path, query_string=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


def load_sheet(browser: Browser, path: str, query: str = "") -> Any:
    answer = browser.get(path, query_string=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].endswith("spreadsheetml.sheet")
    assert answer.headers["content-disposition"].rstrip('"').endswith(".xlsx")
    (sheet,) = openpyxl.load_workbook(io.BytesIO(answer.content)).worksheets
    return sheet


def to_rows(sheet: Any) -> list[dict[str, Any]]:
    header, *rows = sheet.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_gifts_have_the_filter_of_their_page(browser: Browser, ids: dict[str, Any]) -> None:
    everything = load_csv(browser, "/dashboard/gifts.csv", "match=all")
    assert [row["Amount"] for row in everything] == ["1.00", "700", "25.50"]
    (matched,) = load_csv(browser, "/dashboard/gifts.csv", "match=link")
    assert matched == {
        "Date": "2027-01-01T08:30:00+09:00",
        "Amount": "25.50",
        "Currency": "USD",
        "Refunded": "0.00",
        "Status": "Succeeded",
        "Donor": "Bob Baker",
        "Donor's email": BOB["email"],
        "Fundraiser": "Spring",
        "Mailing": "Appeal",
        "Match": "By link",
        "External ID": "0012",
        "Gift ID": ids["matched"],
    }
    assert len(load_csv(browser, "/dashboard/gifts.csv")) == 2  # as the page, those without email
    assert everything[1]["Donor"] == "'=HYPERLINK(1)"


@pytest.mark.parametrize(
    ("path", "number"),
    [("fundraisers/{spring}/gifts", 2), ("people/{user}/gifts", 1), ("gifts", 2)],
)
def test_each_page_with_gifts_offers_them_in_both_formats(
    browser: Browser, ids: dict[str, Any], path: str, number: int
) -> None:
    at = f"/dashboard/{path.format(**ids)}"
    assert len(load_csv(browser, f"{at}.csv")) == number
    assert len(to_rows(load_sheet(browser, f"{at}.xlsx"))) == number
    page = browser.get(at.removesuffix("/gifts") if "/" in path else at).text
    assert page.count(f'href="{at}.csv') == page.count(f'href="{at}.xlsx') == 1


def test_a_workbook_has_numbers_dates_and_text(browser: Browser, ids: dict[str, Any]) -> None:
    sheet = load_sheet(browser, "/dashboard/gifts.xlsx", "match=all")
    assert sheet.title == "Gifts"
    assert sheet.freeze_panes == "A2"
    assert all(cell.font.bold for cell in sheet[1])
    old, formula, matched = to_rows(sheet)
    assert (matched["Amount"], matched["Currency"]) == (25.5, "USD")
    assert matched["Date"] == datetime(2027, 1, 1, 8, 30)  # noqa: DTZ001 - Excel has no zones
    assert matched["External ID"] == "0012"
    assert (formula["Amount"], formula["Donor"]) == (700, "=HYPERLINK(1)")
    assert old["Date"] == "1900-01-01 09:00:00"  # before the first day that Excel counts correctly
    assert sheet["F3"].data_type == "s"
    assert (sheet["B2"].number_format, sheet["B3"].number_format) == ("#,##0.00", "#,##0")


def test_recipients_have_the_filter_and_the_search_of_their_page(
    browser: Browser, ids: dict[str, Any]
) -> None:
    at = f"/dashboard/mailings/{ids['mailing']}/recipients"
    assert [row["Recipient"] for row in load_csv(browser, f"{at}.csv")] == ["Eve", "Bob Baker"]
    assert [row["Recipient"] for row in load_csv(browser, f"{at}.csv", "q=eve")] == ["Eve"]
    (bob,) = load_csv(browser, f"{at}.csv", "did=opened")
    assert (bob["Opens"], bob["Gifts"], bob["Raised, USD"]) == ("1", "1", "25.50")
    (row,) = to_rows(load_sheet(browser, f"{at}.xlsx", "did=gave"))
    assert row["Sent on"] == datetime(2026, 9, 20, 19, 0)  # noqa: DTZ001
    assert (row["Opens"], row["Raised, USD"], row["Bounced on"]) == (1, 25.5, None)
    page = browser.get(at.removesuffix("/recipients"), query_string="did=gave&q=bob").text
    assert f'href="{at}.xlsx?did=gave&amp;q=bob"' in page


@pytest.mark.parametrize("name", HOSTILE)
def test_text_in_a_workbook_is_never_a_formula(
    browser: Browser, ids: dict[str, Any], name: str
) -> None:
    Donation.objects(id=ObjectId(ids["matched"])).update(set__donor_name=f"{name}\x0b\ufffe")
    sheet = load_sheet(browser, "/dashboard/gifts.xlsx", "match=link")
    assert (sheet["F2"].value, sheet["F2"].data_type) == (name, "s")


def test_a_download_is_audited(browser: Browser, ids: dict[str, Any]) -> None:
    load_csv(browser, f"/dashboard/mailings/{ids['mailing']}/recipients.csv", "did=gave")
    action = "GET /dashboard/mailings/{id}/recipients.csv"
    act = OpenAct.objects(action=action).get()
    assert act.actor.startswith("staff:")
    assert (act.record, act.fields, act.outcome) == (ids["mailing"], ["did"], 200)


def test_another_organization_and_a_visitor_get_nothing(
    real_client: testing.TestClient, alice: University, ids: dict[str, Any]
) -> None:
    charlie = create_university("Charlie's", alice.api)
    add_staff(charlie.id, "charlie@example.edu")
    spy = Browser(real_client)
    paths = [
        f"fundraisers/{ids['spring']}/gifts",
        f"mailings/{ids['mailing']}/recipients",
        f"people/{ids['user']}/gifts",
    ]
    for extension in ("csv", "xlsx"):
        for path in [*paths, "gifts"]:
            assert spy.get(f"/dashboard/{path}.{extension}").status_code == 303
    spy.sign_in("charlie@example.edu")
    for extension in ("csv", "xlsx"):
        for path in paths:
            assert spy.get(f"/dashboard/{path}.{extension}").status_code == 404
    assert load_csv(spy, "/dashboard/gifts.csv", "match=all") == []


def test_files_are_in_the_language_of_the_organization(
    alice: University, browser: Browser, ids: dict[str, Any]
) -> None:
    alice.call("PATCH", "/v1/organization", {"locale": "de-DE"})
    sheet = load_sheet(browser, "/dashboard/gifts.xlsx", "match=link")
    assert sheet.title == "Spenden"
    (row,) = to_rows(sheet)
    assert (row["Betrag"], row["Währung"], row["Status"]) == (25.5, "USD", "Erfolgreich")


@pytest.fixture
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_an_abandoned_workbook_leaves_no_file(temporary_files: Path) -> None:
    def rows() -> Iterator[list[list[Any]]]:
        while True:
            yield [["Bob", datetime(2026, 1, 1, tzinfo=UTC)]] * 100

    table = ListTable("Gifts", ["Donor", "Date"], rows())
    pieces: Any = workbook.format_workbook(table, ZoneInfo("UTC"))
    assert [next(pieces) for _ in range(5)] == [b""] * 5
    assert list(temporary_files.iterdir())
    pieces.close()
    assert not list(temporary_files.iterdir())


def test_a_long_list_continues_on_another_sheet(
    temporary_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "MAX_SHEET_ROWS", 3)
    table = ListTable("A/B: [long] title of a list?", ["N"], iter([[[1], [2], [3]]]))
    made = b"".join(workbook.format_workbook(table, ZoneInfo("UTC")))
    book = openpyxl.load_workbook(io.BytesIO(made))
    assert book.sheetnames == ["A B   long  title of a li", "A B   long  title of a li 2"]
    assert [[cell.value for cell in sheet["A"]] for sheet in book] == [["N", 1, 2], ["N", 3]]
    assert not list(temporary_files.iterdir())
