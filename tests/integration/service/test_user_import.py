"""Importing users: one for each address, in any spelling, whatever is repeated or simultaneous."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from falcon import testing
from mongoengine import get_db

from service.cli import main
from tools.testbed.cast import BOB, Api, University, create_university
from tools.testbed.settled import settle_all


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


def post(place: University, *lines: Any) -> Any:
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    headers = {"Content-Type": "application/x-ndjson"}
    answer = place.call("POST", "/v1/users/import", body=body, headers=headers)
    assert answer.status == 200, answer.content
    return answer.json


def result(answer: Any) -> tuple[int, int, int]:
    return answer["created"], answer["found"], answer["refused_count"]


def people(number: int) -> list[dict[str, str]]:
    return [{"name": f"P {n}", "email": f"p{n}@example.edu"} for n in range(number)]


def test_imported_users_are_like_single_ones_and_repeats_find_them(alice: University) -> None:
    assert result(post(alice, *people(2500))) == (2500, 0, 0)
    assert result(post(alice, *people(2500))) == (0, 2500, 0)
    single = alice.make("users", **BOB)
    listed = alice.get("/v1/users?sort=emails_count")["data"]
    assert set(listed[0]) == set(single)
    assert get_db().users.find_one({"email": "p1@example.edu"})["words"]
    settle_all()
    assert get_db().user_index.count_documents({}) == 2501
    assert get_db().users.count_documents({"rematch_due": {"$ne": None}}) == 0


def test_a_found_user_keeps_the_name(alice: University) -> None:
    bob = alice.make("users", **BOB)
    lines = [
        {"name": "Robert", "email": "BOB@EXAMPLE.EDU"},
        {"name": "Zoë", "email": "zoë@example.edu"},
        {"name": "Zoe", "email": "ZOE\u0308@example.edu"},
    ]
    assert result(post(alice, *lines)) == (1, 2, 0)
    assert alice.get(f"/v1/users/{bob['id']}")["name"] == BOB["name"]
    assert {one["name"] for one in alice.get("/v1/users")["data"]} == {BOB["name"], "Zoë"}


def test_earlier_gifts_of_imported_users_find_them(alice: University) -> None:
    spring = alice.fundraiser()
    gift = alice.gift(spring, donor=BOB)
    settle_all()
    post(alice, BOB)
    settle_all()
    user = alice.get("/v1/users")["data"][0]
    assert alice.get(f"/v1/donations/{gift}")["user_id"] == user["id"]
    assert user["donations_count"] == 1


def test_a_deleted_user_can_be_imported_again(alice: University) -> None:
    post(alice, BOB)
    alice.call("DELETE", f"/v1/users/{alice.get('/v1/users')['data'][0]['id']}")
    assert result(post(alice, BOB)) == (1, 0, 0)


def test_a_rejected_line_blocks_no_other(alice: University) -> None:
    answer = post(alice, BOB, {"name": "x"}, {"name": "x", "email": "no"}, 7, BOB | {"id": "x"})
    assert result(answer) == (1, 0, 4)
    assert [one["line"] for one in answer["refused"]] == [2, 3, 4, 5]


def test_simultaneous_imports_and_requests_add_a_user_once(alice: University) -> None:
    answers: list[Any] = []

    def add_singly() -> None:
        for one in people(1500)[::50]:
            alice.call("POST", "/v1/users", one)

    threads = [
        threading.Thread(target=lambda: answers.append(post(alice, *people(1500))))
        for _ in range(3)
    ]
    threads.append(threading.Thread(target=add_singly))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer["created"] + answer["found"] for answer in answers] == [1500] * 3
    assert get_db().users.count_documents({}) == 1500
    settle_all()
    assert get_db().user_index.count_documents({}) == 1500


def test_users_can_be_imported_from_files(alice: University, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("name,email\nBob,bob@example.edu\nBobby,BOB@example.edu\n")
    options = ["import", "users", str(file), "--organization", alice.id, "--json"]
    dry = CliRunner().invoke(main, [*options, "--dry-run"])
    assert result(json.loads(dry.stdout)) == (1, 1, 0)
    assert get_db().users.count_documents({}) == 0
    done = CliRunner().invoke(main, options)
    assert (done.exit_code, result(json.loads(done.stdout))) == (0, (1, 1, 0))


def test_a_mark_before_the_first_line_and_a_lost_character(alice: University) -> None:
    lines = (
        b'\xef\xbb\xbf{"name": "Zo\xc3\xab", "email": "zoe@example.edu"}\n'
        b'{"name": "Zo\xef\xbf\xbd", "email": "zoe2@example.edu"}\n'
    )
    answer = alice.call(
        "POST", "/v1/users/import", body=lines, headers={"Content-Type": "application/x-ndjson"}
    )
    assert (answer.json["created"], answer.json["refused_count"]) == (1, 1)
    (rejected,) = answer.json["refused"]
    assert (rejected["line"], rejected["errors"][0]["code"]) == (2, "undecoded")
    assert [user["name"] for user in alice.get("/v1/users")["data"]] == ["Zo\u00eb"]


def test_an_import_adds_attributes_to_users_who_exist(alice: University) -> None:
    bob = alice.make("users", **BOB, attributes={"school": "Law", "status": "lapsed"})
    lines: list[Any] = [
        {**BOB, "attributes": {"Status": "major"}},
        {**BOB, "name": "Again", "attributes": {"year": "1998"}},
        {"name": "Eve", "email": "eve@example.edu", "attributes": {"year": "1999"}},
        {"name": "Eve", "email": "EVE@example.edu", "attributes": {"school": "Arts"}},
        {**BOB, "attributes": {f"a{n}": "1" for n in range(18)}},
        {**BOB, "attributes": {"a b": "1"}},
    ]
    answer = post(alice, *lines)
    assert result(answer) == (1, 3, 2)
    errors = [(line["line"], line["errors"][0]["pointer"]) for line in answer["refused"]]
    assert errors == [(5, "/attributes"), (6, "/attributes/a b")]
    assert alice.get(f"/v1/users/{bob['id']}")["attributes"] == {
        "school": "Law",
        "status": "major",
        "year": "1998",
    }
    [eve] = alice.get("/v1/users?email=eve@example.edu")["data"]
    assert eve["attributes"] == {"year": "1999", "school": "Arts"}


def test_columns_of_a_file_are_attributes(alice: University, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(
        "Email,Name,Attribute: Class Year,attribute_school,Town\n"
        "bob@example.edu,Bob,1998,Law,Hull\neve@example.edu,Eve,,Arts,York\n"
    )
    args = ["import", "users", str(file), "--organization", alice.id]
    outcome = CliRunner().invoke(main, args)
    assert outcome.exit_code == 0, outcome.output
    found = {user["name"]: user["attributes"] for user in alice.get("/v1/users")["data"]}
    assert found == {"Bob": {"class_year": "1998", "school": "Law"}, "Eve": {"school": "Arts"}}
