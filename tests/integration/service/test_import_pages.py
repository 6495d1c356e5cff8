"""Imports in the dashboard: the upload, the preview, the run, and who may see them."""

import csv
import io
from datetime import timedelta

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.imports import files
from documents.imports.file_import import FileImport
from documents.imports.retention import FILE_LIFETIME, drop_old_files
from documents.values.time import now
from jobs.periodic import imports as job
from tools.testbed.cast import Api, University, create_university
from tools.testbed.pages import Browser, add_staff, extract_text

PATH = "/dashboard/imports"
PEOPLE = "email;name\r\nzita@example.edu;Zita Größer\r\nno address;Nobody\r\n".encode("cp1252")
GIFTS = b'Gift ID,Date,Amount,Name,Email\r\nA,3/4/2026,"$1,234.50",Rita,rita@example.edu\r\n'


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def browser(real_client: testing.TestClient, alice: University) -> Browser:
    add_staff(alice.id, "alice@example.edu")
    signed_in = Browser(real_client)
    signed_in.sign_in("alice@example.edu")
    signed_in.get(PATH)
    return signed_in


def upload(browser: Browser, content: bytes, records: str = "users") -> str:
    """Upload a file. Return the path of its page."""
    browser.get(PATH)
    sent = browser.upload(PATH, content, {"records": records})
    assert sent.status_code == 303, sent.text
    return str(sent.headers["Location"])


def work() -> None:
    """Do the work of a worker, until no import waits."""
    while job.step():
        pass


def counts(path: str) -> tuple[str, int, int, int]:
    one = FileImport.objects.get(id=path.rpartition("/")[2])
    return one.state, one.made, one.found, one.rejected


def stored_bytes() -> int:
    return sum(len(chunk["data"]) for chunk in get_db().import_chunks.find())


def test_a_file_is_previewed_then_imported(browser: Browser) -> None:
    page = upload(browser, PEOPLE)
    assert "Reading the file" in extract_text(browser.get(page))
    work()
    assert counts(page) == ("ready", 1, 0, 1)
    assert get_db().users.count_documents({}) == 0
    text = extract_text(browser.get(page))
    assert "People · CSV · Windows-1252 · Semicolon" in text
    assert "Zita Größer zita@example.edu Accepted" in text
    assert "3 Email address: Not a valid email address." in text
    assert browser.send(f"{page}/start").status_code == 303
    work()
    assert counts(page) == ("done", 1, 0, 1)
    assert get_db().users.find_one({})["name"] == "Zita Größer"
    acts = {act["action"] for act in get_db().open_acts.find()}
    assert {"POST /dashboard/imports", "POST /dashboard/imports/{id}/start"} <= acts
    text = extract_text(browser.get(PATH))
    assert "file.csv People Imported 1 0 1 Alice" in text
    assert "Zita" not in str(get_db().imports.find_one({}))
    assert stored_bytes() == 0


def test_the_same_file_again_creates_nothing(browser: Browser) -> None:
    for expected in (("done", 1, 0, 1), ("done", 0, 1, 1)):
        page = upload(browser, PEOPLE)
        work()
        browser.get(page)
        browser.send(f"{page}/start")
        work()
        assert counts(page) == expected


def test_rejected_lines_can_be_downloaded(browser: Browser) -> None:
    page = upload(browser, PEOPLE)
    work()
    answer = browser.get(f"{page}/rejected.csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows == [
        ["Line", "Field", "Reason"],
        ["3", "Email address", "Not a valid email address."],
    ]


def test_ambiguity_is_asked_and_a_choice_checks_the_file_again(
    alice: University, browser: Browser
) -> None:
    spring = alice.fundraiser()
    page = upload(browser, GIFTS, "donations")
    work()
    assert counts(page) == ("ready", 0, 0, 1)
    text = extract_text(browser.get(page))
    assert "Some dates are ambiguous. Choose the order of day and month." in text
    columns = {
        f"column.{n}": f
        for n, f in enumerate(("external_id", "donated_at", "amount", "name", "email"))
    }
    sent = browser.send(f"{page}/choices", {**columns, "date_order": "day"})
    assert sent.status_code == 303
    assert counts(page) == ("checking", 0, 0, 0)
    work()
    assert "Some lines name no fundraiser." in extract_text(browser.get(page))
    chosen = {**columns, "date_order": "day", "fundraiser_id": spring, "column.3": ""}
    browser.send(f"{page}/choices", chosen)
    work()
    assert counts(page) == ("ready", 1, 0, 0)
    assert "$1,234.50" in extract_text(browser.get(page))
    browser.send(f"{page}/start")
    work()
    gift = get_db().donations.find_one({})
    assert (gift["amount"], gift["external_id"], gift["donated_at"].month) == (123450, "A", 4)
    assert gift["donor_name"] == "rita@example.edu"


def test_columns_that_are_not_clear_can_be_chosen(browser: Browser) -> None:
    page = upload(browser, b"who,contact\nAnn,ann@example.edu\n")
    work()
    assert counts(page)[0] == "unclear"
    assert "No column has the email address." in extract_text(browser.get(page))
    assert browser.send(f"{page}/start").status_code == 409
    browser.get(page)
    browser.send(f"{page}/choices", {"column.0": "name", "column.1": "email"})
    work()
    assert counts(page) == ("ready", 1, 0, 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\0\1\2" * 9, "The file is not text. Save it as CSV or .xlsx."),
        (b"PK\x03\x04damaged", "The workbook is damaged"),
        (b"email,email\na,b\n", "the column “email” occurs twice"),
    ],
)
def test_a_file_that_cannot_be_read_shows_the_reason(
    browser: Browser, content: bytes, reason: str
) -> None:
    page = upload(browser, content)
    work()
    assert counts(page)[0] == "unclear"
    assert reason in extract_text(browser.get(page))


@pytest.mark.parametrize(
    "choices",
    [
        {"encoding": "klingon"},
        {"column.0": "size"},
        {"currency": "ABC"},
        {"decimal": "x"},
        {"fundraiser_id": "0" * 24},
    ],
)
def test_choices_that_do_not_exist_are_rejected(browser: Browser, choices: dict[str, str]) -> None:
    page = upload(browser, PEOPLE)
    work()
    browser.get(page)
    assert browser.send(f"{page}/choices", choices).status_code in (400, 404)
    assert counts(page)[0] == "ready"


def test_a_cancelled_import_stops_and_loses_its_file(browser: Browser) -> None:
    page = upload(browser, PEOPLE)
    work()
    browser.get(page)
    assert browser.send(f"{page}/cancel").status_code == 303
    assert (counts(page)[0], stored_bytes()) == ("cancelled", 0)
    browser.get(page)
    assert browser.send(f"{page}/start").status_code == 409
    work()
    assert get_db().users.count_documents({}) == 0


def test_an_upload_without_a_valid_token_stores_nothing(browser: Browser) -> None:
    browser.token = "0" * 64
    assert browser.upload(PATH, PEOPLE, {"records": "users"}).status_code == 403
    assert (FileImport.objects.count(), stored_bytes()) == (0, 0)


@pytest.mark.parametrize(
    ("fields", "content", "status"),
    [
        ({"records": "users"}, b"", 400),
        ({"records": "people"}, PEOPLE, 400),
        ({"records": "users", **{f"f{n}": "" for n in range(20)}}, PEOPLE, 400),
        ({"records": "x" * 2000}, PEOPLE, 400),
    ],
)
def test_invalid_uploads_store_nothing(
    browser: Browser, fields: dict[str, str], content: bytes, status: int
) -> None:
    name = "file.csv" if content else ""
    assert browser.upload(PATH, content, fields, name).status_code == status
    assert (FileImport.objects.count(), stored_bytes()) == (0, 0)


def test_a_file_that_is_too_large_stores_nothing(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 1_500_000)
    assert browser.upload(PATH, b"a" * 2_000_000, {"records": "users"}).status_code == 413
    assert (FileImport.objects.count(), stored_bytes()) == (0, 0)


def test_an_upload_that_ends_early_stores_nothing(
    browser: Browser, real_client: testing.TestClient
) -> None:
    head = f'--b\r\nContent-Disposition: form-data; name="form_token"\r\n\r\n{browser.token}\r\n'
    head += '--b\r\nContent-Disposition: form-data; name="records"\r\n\r\nusers\r\n'
    head += '--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nemail\r\n'
    answer = real_client.simulate_post(
        PATH,
        body=head.encode() + b"a@example.edu\r\n" * 9,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        cookies=browser.cookies,
    )
    assert answer.status_code == 400
    assert (FileImport.objects.count(), stored_bytes()) == (0, 0)


def test_viewers_and_other_organizations_see_no_import(
    alice: University, browser: Browser, real_client: testing.TestClient
) -> None:
    page = upload(browser, PEOPLE)
    charlies = create_university("Charlie's University", Api.in_process(real_client))
    add_staff(charlies.id, "charlie@example.edu")
    add_staff(alice.id, "vera@example.edu", "viewer")
    for email, status in (("charlie@example.edu", 404), ("vera@example.edu", 403)):
        other = Browser(real_client)
        other.sign_in(email)
        assert other.get(page).status_code == status
        assert other.get(f"{page}/rejected.csv").status_code == status
        other.get("/dashboard/account")
        for action in ("choices", "start", "cancel"):
            assert other.send(f"{page}/{action}").status_code == status
        assert "file.csv" not in other.get(PATH).text
    assert counts(page)[0] == "checking"


def test_old_files_are_deleted(browser: Browser) -> None:
    page = upload(browser, PEOPLE)
    work()
    assert drop_old_files(now()) == 0
    assert drop_old_files(now() + FILE_LIFETIME + timedelta(minutes=1)) == 1
    assert (counts(page)[0], stored_bytes()) == ("expired", 0)
    assert "the file was deleted" in extract_text(browser.get(page))


def test_an_upload_whose_process_was_killed_is_deleted(alice: University) -> None:
    lost = FileImport(
        organization_id=ObjectId(alice.id), records="users", state="uploading", file_id=ObjectId()
    ).insert()
    files.store_file(lost.organization_id, lost.file_id, io.BytesIO(b"x"))
    assert drop_old_files(now() + timedelta(hours=3)) == 1
    assert (FileImport.objects.count(), stored_bytes()) == (0, 0)
