"""An import of a file in a browser: live, accessible at every width, and by keyboard."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Desk
from tests.browser.test_looks import WIDTHS, assert_fits, serious

LIVE_TIMEOUT_MILLISECONDS = 30_000
NAME = "a-very-long-file-name-" * 6 + "gifts.csv"
GIFTS = (
    "Gift Date;Gift Amount;Currency;Email;Name;Campaign code;Notes\r\n"
    + "27.10.2026;2.345,60;EUR;zita@example.edu;Zita Größer;A;x\r\n"
    + "02.11.2026;40,00;;;Barspende;B;y\r\n"
    + "".join(f"03.11.2026;{n},00;EUR;;Cash gift {n};;\r\n" for n in range(1, 30))
)


@pytest.fixture
def gifts(tmp_path: Path) -> Path:
    file = tmp_path / NAME
    file.write_bytes(GIFTS.encode("cp1252"))
    return file


def upload(desk: Desk, file: Path) -> Page:
    page = desk.sign_in()
    page.get_by_role("link", name="Imports").click()
    page.get_by_label("Records").select_option("Gifts")
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    return page


def await_heading(page: Page, name: str) -> None:
    heading = page.get_by_role("heading", name=name)
    expect(heading).to_be_visible(timeout=LIVE_TIMEOUT_MILLISECONDS)


def check_looks(page: Page, name: str) -> None:
    for width in WIDTHS:
        assert_fits(page, name, width)
        assert serious(page) == [], (name, width)


def test_a_file_is_imported_live_and_by_keyboard(desk: Desk, gifts: Path) -> None:
    spring = desk.place.fundraiser()
    page = upload(desk, gifts)
    await_heading(page, "Nothing to import")
    expect(page.get_by_text("Some lines name no fundraiser.")).to_be_visible()
    expect(page.get_by_text("Some amounts name no currency.")).to_be_visible()
    check_looks(page, "preview")
    page.get_by_label("Fundraiser of lines without one").select_option(spring)
    currency = page.get_by_label("Currency of amounts without one")
    currency.fill("eur")
    currency.press("Enter")
    await_heading(page, "Ready to import")
    start = page.get_by_role("button", name="Import 31 records")
    expect(start).to_be_visible(timeout=LIVE_TIMEOUT_MILLISECONDS)
    expect(page.get_by_text("€2,345.60")).to_be_visible()
    start.focus()
    page.keyboard.press("Enter")
    await_heading(page, "Imported")
    check_looks(page, "result")
    page.get_by_role("link", name="Imports").first.click()
    expect(page.get_by_role("cell", name="31", exact=True)).to_be_visible()
    check_looks(page, "imports")
    assert desk.complaints == []


def test_a_choice_that_a_person_makes_survives_live_updates(desk: Desk, gifts: Path) -> None:
    page = upload(desk, gifts)
    await_heading(page, "Nothing to import")
    notes = page.get_by_label("Notes")
    notes.select_option("Gift ID")
    page.get_by_role("button", name="Check again").click()
    await_heading(page, "Nothing to import")
    expect(notes).to_have_value("external_id")
    page.get_by_role("button", name="Cancel and delete file").click()
    await_heading(page, "Cancelled")
    expect(page.get_by_role("button", name="Check again")).to_be_hidden()
