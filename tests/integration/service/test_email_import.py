"""Importing emails: it counts like single creation, and a repeated import finds the same emails."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from falcon import testing
from mongoengine import get_db

from service.cli import main
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, ApiAnswer, University, create_university
from tools.testbed.settled import settle_all

EVE = {"name": "Eve", "email": "eve@example.org"}


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


def ndjson(*lines: Any) -> bytes:
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return b"\n".join(texts) + b"\n"


NO_HELD_OUT: dict[str, Any] = {
    "held_out_count": 0,
    "held_out_lines": [],
    "held_out_left_out": 0,
    "arms": [],
    "arm_lines_left_out": 0,
}


def post(alice: University, body: bytes, **headers: str) -> ApiAnswer:
    headers = {"Content-Type": "application/x-ndjson", **headers}
    return alice.call("POST", "/v1/emails/import", body=body, headers=headers)


def people(number: int) -> list[dict[str, str]]:
    return [{"name": f"P {n}", "email": f"p{n}@example.edu"} for n in range(number)]


def test_an_import_counts_like_single_creation_and_finds_repeats(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring, sent_at="2026-11-01T10:00:00Z")
    bob = alice.make("users", **BOB)
    lines = [
        {"fundraiser_id": spring, "mailing_id": mailing, "user_id": bob["id"]},
        *({"fundraiser_id": spring, "mailing_id": mailing, "user": one} for one in people(2500)),
        {"fundraiser_id": spring, "user": EVE, "sent_at": "2026-11-02T10:00:00Z"},
        {"fundraiser_id": spring, "user": BOB, "sent_at": None},
    ]
    answer = post(alice, ndjson(*lines))
    none = {"refused_count": 0, "refused": [], "refused_left_out": 0, **NO_HELD_OUT}
    assert (answer.status, answer.json) == (200, {"created": 2503, "found": 0, **none})
    again = post(alice, ndjson(*lines, lines[7], {**lines[0], "user_id": bob["id"].upper()}))
    assert again.json == {
        "created": 0,
        "found": 2505,
        "refused_count": 0,
        "refused": [],
        "refused_left_out": 0,
        **NO_HELD_OUT,
    }
    settle_all()
    report = alice.report(spring)
    assert report["emails"]["sent"] == 2502
    assert alice.get(f"/v1/users/{bob['id']}")["emails_count"] == 2
    emails = alice.get(f"/v1/emails?mailing_id={mailing}")["data"]
    assert {email["sent_at"] for email in emails} == {"2026-11-01T10:00:00Z"}
    single = alice.make("emails", fundraiser_id=spring, user=EVE)
    stored = get_db().emails.find_one({"mailing_id": {"$ne": None}}) or {}
    settle_all()
    made = get_db().emails.find_one({"user_id": stored["user_id"]}) or {}
    assert set(alice.get(f"/v1/emails/{stored['_id']}")) == set(single)
    assert made["counted"]


def test_emails_posted_singly_are_found(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    alice.email(spring, BOB, mailing_id=mailing)
    line = {
        "fundraiser_id": spring,
        "mailing_id": mailing,
        "user": BOB | {"email": "BOB@example.edu"},
    }
    assert post(alice, ndjson(line, line)).json["found"] == 2


def test_a_rejected_line_blocks_no_other(
    alice: University, real_client: testing.TestClient
) -> None:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    spring, theirs = alice.fundraiser(), charlie.fundraiser()
    good = {"fundraiser_id": spring, "user": BOB}
    body = ndjson(
        good,
        b"not json",
        b"",
        {**good, "fundraiser_id": theirs},
        {**good, "mailing_id": UNKNOWN_ID},
        {"fundraiser_id": spring, "user_id": UNKNOWN_ID},
        {**good, "user": EVE, "extra": 1},
        7,
        b'{"a": 1, "a": 2}',
        b"\xff",
        b"x" * 200_000,
        {**good, "user": {"name": "E", "email": {"$ne": 1}}},
        {"fundraiser_id": spring, "user": EVE},
    )
    answer = post(alice, body).json
    assert (answer["created"], answer["found"], answer["refused_count"]) == (2, 0, 10)
    assert [one["line"] for one in answer["refused"]] == sorted({2, 4, 5, 6, 7, 8, 9, 10, 11, 12})
    pointers = {one["line"]: one["errors"][0]["pointer"] for one in answer["refused"]}
    assert (pointers[4], pointers[5], pointers[7]) == ("/fundraiser_id", "/mailing_id", "/extra")
    assert "x" * 50 not in json.dumps(answer)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Content-Type": "application/json"}, 415), ({"Authorization": "Bearer mb_wrong"}, 401)],
)
def test_invalid_imports_are_rejected(
    alice: University, headers: dict[str, str], status: int
) -> None:
    assert post(alice, b"{}\n", **headers).status == status


@pytest.mark.parametrize("length", [64 * 1024, 64 * 1024 + 1, 128 * 1024, 200_000])
def test_a_last_line_that_is_too_long_is_rejected(alice: University, length: int) -> None:
    answer = post(alice, b"{}\n" + b"x" * length).json
    assert [one["line"] for one in answer["refused"]] == [1, 2]


def test_an_empty_import_does_nothing(alice: University) -> None:
    assert post(alice, b"").json["created"] == 0
    assert post(alice, b"\n \n\r\n").json["refused_count"] == 0


def test_concurrent_imports_create_each_email_once(alice: University) -> None:
    spring = alice.fundraiser()
    lines = [{"fundraiser_id": spring, "user": one, "sent_at": None} for one in people(1500)]
    answers: list[ApiAnswer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(post(alice, ndjson(*lines))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200] * 3
    assert sum(answer.json["created"] for answer in answers) == 1500
    assert sum(answer.json["found"] for answer in answers) == 3000
    settle_all()
    assert get_db().emails.count_documents({}) == get_db().users.count_documents({}) == 1500


def test_a_deleted_email_can_be_imported_again(alice: University) -> None:
    line = {"fundraiser_id": alice.fundraiser(), "user": BOB}
    post(alice, ndjson(line))
    alice.call("DELETE", f"/v1/emails/{alice.get('/v1/emails')['data'][0]['id']}")
    assert post(alice, ndjson(line)).json["created"] == 1


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["import", "emails", *arguments, "--json"])


def test_emails_can_be_imported_from_csv(alice: University, tmp_path: Path) -> None:
    spring = alice.fundraiser()
    file = tmp_path / "emails.csv"
    rows = [f'"P, {n}",p{n}@example.edu,2026-11-01T10:00:00Z' for n in range(5)]
    file.write_bytes("\ufeffname,email,sent_at\r\n".encode() + "\r\n".join(rows).encode())
    options = (str(file), "--organization", alice.id, "--fundraiser", spring)
    dry = run(*options, "--dry-run")
    assert (dry.exit_code, json.loads(dry.stdout)["created"]) == (0, 5)
    assert get_db().emails.count_documents({}) == get_db().users.count_documents({}) == 0
    done = run(*options)
    assert (done.exit_code, json.loads(done.stdout)["created"]) == (0, 5)
    assert json.loads(run(*options).stdout)["found"] == 5
    assert get_db().users.find_one({"name": "P, 3"})


def test_an_ndjson_file_may_have_rejected_lines(alice: University, tmp_path: Path) -> None:
    file = tmp_path / "emails.ndjson"
    file.write_bytes(ndjson({"fundraiser_id": alice.fundraiser(), "user": BOB}, b"what?", [1]))
    done = run(str(file), "--organization", alice.id)
    answer = json.loads(done.stdout)
    assert (done.exit_code, answer["created"], answer["refused_count"]) == (1, 1, 2)
    assert [one["line"] for one in answer["refused"]] == [2, 3]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"who,what\n1,2\n", "The file has no column for email or user_id."),
        (b"", "The file is empty."),
        (b"email,E-Mail\na@example.org,b@example.org\n", "both look like email."),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old or an encrypted Excel file"),
    ],
)
def test_invalid_import_files_are_rejected(
    alice: University, tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "file").write_bytes(content)
    done = run(str(tmp_path / "file"), "--organization", alice.id)
    assert done.exit_code == 1
    assert reason in done.stderr
