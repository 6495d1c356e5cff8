"""`matchback import`: files as people have them, and how a dry run shows them."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner, Result
from falcon import testing
from mongoengine import get_db

from service.cli import main
from tools.testbed.cast import UNKNOWN_ID, Api, University, create_university

NAMES = [("zita@example.edu", "Zita Größer"), ("rené@example.edu".replace("é", "e"), "René Núñez")]
PEOPLE = "email{0}name\r\n" + "".join(f"{email}{{0}}{name}\r\n" for email, name in NAMES)
EUROPEAN = (
    "Gift Date;Gift Amount;Currency;Email;Name\r\n"
    "27.10.2026;2.345,60;EUR;zita@example.edu;Zita Größer\r\n"
    "02.11.2026;40,00;EUR;;Barspende\r\n"
)
AMERICAN = (
    "Gift ID,Date,Amount,Constituent Name,Email\r\n"
    'A-1,10/27/2026,"$2,345.60",Rita Rey,rita@example.edu\r\n'
    "A-2,11/02/2026,$40,Cash gift,\r\n"
    'A-1,10/27/2026,"$2,345.60",Rita Rey,rita@example.edu\r\n'
)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


def run(alice: University, path: Path, content: bytes, *options: str, of: str = "users") -> Result:
    file = path / "file"
    file.write_bytes(content)
    arguments = ["import", of, str(file), "--organization", alice.id, *options]
    done = CliRunner().invoke(main, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def result(done: Result) -> tuple[int, int, int]:
    values = json.loads(done.stdout)
    return values["created"], values["found"], values["refused_count"]


def workbook(*rows: tuple[Any, ...]) -> bytes:
    book, packed = openpyxl.Workbook(), io.BytesIO()
    sheet: Any = book.active
    for row in rows:
        sheet.append(row)
    book.save(packed)
    return packed.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        PEOPLE.format(",").encode("cp1252"),
        PEOPLE.format("\t").encode("utf-16"),
        PEOPLE.format(";").encode("utf-8-sig"),
        PEOPLE.format("|").replace("\r\n", "\r").encode(),
        gzip.compress(PEOPLE.format(",").encode()),
        workbook(("Email Address", "Full Name"), *NAMES),
        "\ufeff".encode()
        + b"\n".join(json.dumps({"email": email, "name": name}).encode() for email, name in NAMES),
    ],
    ids=["windows-1252", "utf-16", "semicolon", "carriage-return", "gzip", "xlsx", "ndjson"],
)
def test_every_format_gives_the_same_people(
    alice: University, tmp_path: Path, content: bytes
) -> None:
    assert result(run(alice, tmp_path, content, "--json")) == (2, 0, 0)
    assert {row["name"] for row in get_db().users.find()} == {name for _, name in NAMES}
    assert result(run(alice, tmp_path, content, "--json")) == (0, 2, 0)


def test_first_and_last_names_are_joined_and_blank_rows_are_left_out(
    alice: University, tmp_path: Path
) -> None:
    content = b'Email Address,First Name,Last Name,STARS\r\nb@x.org,Bo,"Bo, Jr.",3\r\n,,,\r\n\r\n'
    assert result(run(alice, tmp_path, content, "--json")) == (1, 0, 0)
    assert get_db().users.find_one({})["name"] == "Bo Bo, Jr."


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'email,"name\r\na@x.org,Ann\r\n', "Line 1: A quote that begins on this line"),
        (b"email,name,email\r\na@x.org,Ann,b@x.org\r\n", "the column “email” occurs twice"),
        (b"name\r\nAnn\r\n", "The file has no column for email."),
        (b"\0\1\2\3" * 9, "The file is not text."),
        (gzip.compress(b"email\na@x.org\n" * 99)[:-9], "The gzip file is damaged."),
        (workbook(("email",), ("a@x.org",))[:-30], "The workbook is damaged"),
    ],
)
def test_a_file_that_cannot_be_read_is_rejected_with_the_reason(
    alice: University, tmp_path: Path, content: bytes, reason: str
) -> None:
    done = run(alice, tmp_path, content)
    assert (done.exit_code, get_db().users.count_documents({})) == (1, 0)
    assert reason in done.stderr


def test_an_undecodable_character_is_an_error_of_its_line(
    alice: University, tmp_path: Path
) -> None:
    content = "email,name\na@x.org,Zoë Müller Núñez\n".encode() + b"b@x.org,Jos\xe9\n"
    values = json.loads(run(alice, tmp_path, content, "--json").stdout)
    assert (values["created"], [one["line"] for one in values["refused"]]) == (1, [3])
    assert "encoding" in values["refused"][0]["errors"][0]["detail"]


def test_gifts_of_a_european_file(alice: University, tmp_path: Path) -> None:
    options = ("--fundraiser", alice.fundraiser(), "--json")
    content = EUROPEAN.encode("cp1252")
    assert result(run(alice, tmp_path, content, *options, of="donations")) == (2, 0, 0)
    stored = [(g["amount"], g["currency"], g["donor_email"]) for g in get_db().donations.find()]
    assert stored == [(234560, "EUR", "zita@example.edu"), (4000, "EUR", "")]
    assert get_db().donations.find_one({})["donor_name"] == "Zita Größer"
    assert result(run(alice, tmp_path, content, *options, of="donations")) == (0, 2, 0)


def test_gifts_of_an_american_file(alice: University, tmp_path: Path) -> None:
    options = ("--fundraiser", alice.fundraiser(), "--json")
    content = AMERICAN.encode()
    assert result(run(alice, tmp_path, content, *options, of="donations")) == (2, 1, 0)
    times = [f"{gift['donated_at']:%Y-%m-%d}" for gift in get_db().donations.find()]
    assert times == ["2026-10-27", "2026-11-02"]


def test_ambiguous_values_need_a_choice(alice: University, tmp_path: Path) -> None:
    content = b'date,amount,memo\n3/4/2026,"1,234",x\n'
    options = ["--fundraiser", alice.fundraiser(), "--currency", "usd", "--json"]
    values = json.loads(run(alice, tmp_path, content, *options, of="donations").stdout)
    assert "The date is ambiguous" in values["refused"][0]["errors"][0]["detail"]
    options += ["--dates", "day-first"]
    values = json.loads(run(alice, tmp_path, content, *options, of="donations").stdout)
    assert "The amount is ambiguous" in values["refused"][0]["errors"][0]["detail"]
    options += ["--decimal", "point", "--column", "memo=name"]
    assert result(run(alice, tmp_path, content, *options, of="donations")) == (1, 0, 0)
    gift = get_db().donations.find_one({})
    assert (gift["amount"], gift["donor_name"]) == (123400, "x")
    assert f"{gift['donated_at']:%d.%m.}" == "03.04."


def test_columns_can_be_chosen_or_ignored(alice: University, tmp_path: Path) -> None:
    content = b"who,mail,email\nAnn,a@x.org,n/a\n"
    chosen = ("--column", "mail=email", "--column", "who=name", "--column", "email=", "--json")
    assert result(run(alice, tmp_path, content, *chosen)) == (1, 0, 0)
    wrong = run(alice, tmp_path, content, "--column", "what=email")
    assert "The file has no column “what”." in wrong.stderr
    wrong = run(alice, tmp_path, content, "--column", "who=size")
    assert "Choose a field of: email" in wrong.stderr
    assert run(alice, tmp_path, content, "--column", "who").exit_code == 2


def test_a_dry_run_shows_how_the_file_is_read(alice: University, tmp_path: Path) -> None:
    content = PEOPLE.format(";").encode("cp1252")
    done = run(alice, tmp_path, content, "--dry-run")
    assert "format: CSV, Windows-1252, separated by semicolon" in done.stdout
    assert "email  email" in done.stdout
    assert 'line 2: {"name": "Zita Größer", "email": "zita@example.edu"}' in done.stdout
    assert "2 would be created, 0 found, 0 rejected" in done.stdout
    values = json.loads(run(alice, tmp_path, content, "--dry-run", "--json").stdout)
    assert values["columns"] == {"email": "email", "name": "name"}
    assert (values["format"], values["encoding"], values["delimiter"]) == ("csv", "cp1252", ";")
    assert get_db().users.count_documents({}) == 0


def test_a_chosen_encoding_and_delimiter_apply(alice: University, tmp_path: Path) -> None:
    content = "email,name;x\nv@x.org,Václav;y\n".encode("mac-roman", "ignore")
    options = ("--encoding", "mac-roman", "--delimiter", ",", "--column", "name;x=name", "--json")
    assert result(run(alice, tmp_path, content, *options)) == (1, 0, 0)
    assert get_db().users.find_one({})["name"] == "Václav;y"
    wrong = run(alice, tmp_path, content, "--encoding", "klingon")
    assert "Choose an encoding of: utf-8" in wrong.stderr


def test_a_sheet_can_be_chosen(alice: University, tmp_path: Path) -> None:
    book, packed = openpyxl.Workbook(), io.BytesIO()
    sheet: Any = book.create_sheet("People")
    for row in (("email",), ("a@x.org",)):
        sheet.append(row)
    book.save(packed)
    options = ("--sheet", "People", "--json")
    assert result(run(alice, tmp_path, packed.getvalue(), *options)) == (1, 0, 0)
    wrong = run(alice, tmp_path, packed.getvalue(), "--sheet", "None")
    assert "The workbook has no such sheet." in wrong.stderr


def test_an_unknown_fundraiser_is_an_error_of_each_line(alice: University, tmp_path: Path) -> None:
    done = run(
        alice, tmp_path, b"email\na@x.org\n", "--fundraiser", UNKNOWN_ID, "--json", of="emails"
    )
    assert result(done) == (0, 0, 1)
