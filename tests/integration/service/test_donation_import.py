"""Importing donations: each counts once, whatever is repeated, reordered or killed."""

import json
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from click.testing import CliRunner
from falcon import testing
from mongoengine import get_db

from documents.imports.donations import DonationImport
from service.cli import main
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, University, create_university
from tools.testbed.settled import settle_all

JUNE = "2026-06-01T10:00:00Z"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture
def spring(alice: University) -> str:
    return alice.fundraiser()


def post(place: University, *lines: Any) -> Any:
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    headers = {"Content-Type": "application/x-ndjson"}
    answer = place.call("POST", "/v1/donations/import", body=body, headers=headers)
    assert answer.status == 200, answer.content
    return answer.json


def result(answer: Any) -> tuple[int, int, int]:
    return answer["created"], answer["found"], answer["refused_count"]


def gift(fundraiser: str, **more: Any) -> dict[str, Any]:
    money = {"amount": 2500, "currency": "USD", "donated_at": JUNE}
    return {"fundraiser_id": fundraiser, **money, **more}


def raised(alice: University, fundraiser: str) -> Any:
    settle_all()
    return alice.report(fundraiser)["donations"]["raised"]


def test_imported_donations_are_matched_and_counted(alice: University, spring: str) -> None:
    email = alice.email(spring, BOB, sent_at="2026-05-31T10:00:00Z")
    link = alice.get(f"/v1/emails/{email}")["link_token"]
    lines = [
        gift(spring, donor=BOB, external_id="a"),
        gift(spring, email_id=link, external_id="b"),
        gift(spring, donor={"name": "Cash box"}, external_id="c"),
        gift(spring, external_id="d", status="pending", recurring_id="plan", currency="EUR"),
    ]
    assert result(post(alice, *lines)) == (4, 0, 0)
    assert raised(alice, spring) == {"USD": 7500}
    found = {one["external_id"]: one for one in alice.get("/v1/donations")["data"]}
    assert {id_: one["match"] for id_, one in found.items()} == {
        "a": "address",
        "b": "link",
        "c": "none",
        "d": None,
    }
    assert (found["c"]["donor"]["name"], found["d"]["status"]) == ("Cash box", "pending")
    assert {one["donated_at"] for one in found.values()} == {JUNE}
    assert result(post(alice, *lines, *lines)) == (0, 8, 0)
    assert raised(alice, spring) == {"USD": 7500}


def test_an_imported_donation_is_the_one_that_a_request_recorded(
    alice: University, spring: str
) -> None:
    alice.gift(spring, external_id="one")
    assert result(post(alice, gift(spring, external_id="one"))) == (0, 1, 0)
    assert result(post(alice, gift(spring, external_id="two"))) == (1, 0, 0)
    answer = alice.call("POST", "/v1/donations", gift(spring, external_id="two"))
    assert (answer.status, answer.json["external_id"]) == (200, "two")


def test_equal_lines_are_different_gifts_and_a_repeated_file_adds_none(
    alice: University, spring: str
) -> None:
    cash = gift(spring, donor={"name": "Cash"})
    other = gift(spring, donor={"name": "Cash"}, amount=1000)
    assert result(post(alice, cash, other, cash)) == (3, 0, 0)
    assert result(post(alice, cash, cash, other)) == (0, 3, 0)
    assert result(post(alice, cash, other, cash, cash)) == (1, 3, 0)
    assert raised(alice, spring) == {"USD": 8500}
    assert {one["external_id"] for one in alice.get("/v1/donations")["data"]} == {None}
    one = alice.get("/v1/donations")["data"][0]["id"]
    assert alice.get(f"/v1/donations/{one}")["external_id"] is None
    assert (
        alice.call("PATCH", f"/v1/donations/{one}", {"status": "failed"}).json["external_id"]
        is None
    )


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({"donor": {"name": "Robert", "email": "BOB@Example.EDU"}}, True),
        ({"status": "pending", "recurring_id": "p"}, True),
        ({"donated_at": "2026-06-01T12:00:00+02:00"}, True),
        ({"donor": {"name": "Bob", "email": "bob@example.org"}}, False),
        ({"donor": {"name": "Bob"}}, False),
        ({"donor": None}, False),
        ({"amount": 2501}, False),
        ({"currency": "EUR"}, False),
        ({"donated_at": "2026-06-01T10:00:01Z"}, False),
        ({"donated_at": None}, False),
    ],
)
def test_the_natural_key(
    alice: University, spring: str, change: dict[str, Any], is_same: bool
) -> None:
    post(alice, gift(spring, donor=BOB))
    assert post(alice, gift(spring, donor=BOB) | change)["found"] == is_same


def test_gifts_to_two_fundraisers_differ(alice: University, spring: str) -> None:
    post(alice, gift(spring))
    assert post(alice, gift(alice.fundraiser()))["created"] == 1


def test_a_mailing_implies_its_fundraiser(alice: University, spring: str) -> None:
    line = gift(spring)
    del line["fundraiser_id"]
    mailing = alice.mailing(spring)
    assert result(post(alice, line | {"mailing_id": mailing})) == (1, 0, 0)
    assert result(post(alice, gift(spring))) == (0, 1, 0)
    other = alice.fundraiser()
    answer = post(alice, line, line | {"mailing_id": UNKNOWN_ID}, gift(other, mailing_id=mailing))
    pointers = [one["errors"][0]["pointer"] for one in answer["refused"]]
    assert pointers == ["/fundraiser_id", "/mailing_id", "/mailing_id"]


def test_a_deleted_donation_stays_deleted(alice: University, spring: str) -> None:
    lines = gift(spring, external_id="x"), gift(spring)
    post(alice, *lines)
    for one in alice.get("/v1/donations")["data"]:
        alice.call("DELETE", f"/v1/donations/{one['id']}")
    answer = post(alice, *lines)
    assert result(answer) == (0, 0, 2)
    assert {one["errors"][0]["code"] for one in answer["refused"]} == {"conflict"}
    assert raised(alice, spring) == {}


def test_a_rejected_line_blocks_no_other(
    alice: University, spring: str, real_client: testing.TestClient
) -> None:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    answer = post(
        alice,
        gift(spring),
        gift(charlie.fundraiser()),
        gift(spring, amount=0),
        gift(spring, external_id="\x1f00.1"),
        gift(spring, refunded_amount=5),
        [],
        gift(spring, donor={"name": "x" * 201}),
        gift(spring, external_id="good"),
    )
    assert result(answer) == (2, 0, 6)
    assert [one["line"] for one in answer["refused"]] == [2, 3, 4, 5, 6, 7]


def test_repeated_imports_find_an_erased_donor(alice: University, spring: str) -> None:
    lines = (
        gift(spring, donor=BOB, external_id=f"{BOB['email']}-1", recurring_id=BOB["email"]),
        gift(spring, donor=BOB),
    )
    bob = alice.make("users", **BOB)["id"]
    post(alice, *lines)
    settle_all()
    assert alice.call("DELETE", f"/v1/users/{bob}?erase=true").status == 204
    settle_all()
    stored = str(list(get_db().donations.find({})))
    assert BOB["email"] not in stored
    assert result(post(alice, *lines)) == (0, 2, 0)
    later = gift(spring, external_id="z", donated_at="2026-07-01T10:00:00Z")
    post(alice, later | {"recurring_id": BOB["email"]})
    assert len({row.get("recurring_id") for row in get_db().donations.find({})} - {None}) == 1


def test_simultaneous_imports_and_requests_store_a_donation_once(
    alice: University, spring: str
) -> None:
    lines = [gift(spring, donor={"name": "Cash"})] * 300
    lines += [gift(spring, external_id=f"g{number}") for number in range(1200)]
    answers: list[Any] = []

    def send(seed: int) -> None:
        mine = list(lines)
        random.Random(seed).shuffle(mine)
        answers.append(post(alice, *mine))

    def send_singly() -> None:
        for number in range(0, 1200, 50):
            alice.call("POST", "/v1/donations", gift(spring, external_id=f"g{number}"))

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(3)]
    threads.append(threading.Thread(target=send_singly))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get_db().donations.count_documents({}) == 1500
    assert [answer["created"] + answer["found"] for answer in answers] == [1500] * 3
    assert raised(alice, spring) == {"USD": 1500 * 2500}


@pytest.mark.parametrize("stored", [0, 1, 999, 1000, 1001, 1500])
def test_a_killed_import_continues_from_its_first_line(
    alice: University, spring: str, stored: int
) -> None:
    """The store of a killed import holds some of a batch's rows, in any number."""
    lines = [gift(spring, donor={"name": f"N {number % 700}"}) for number in range(1500)]
    post(alice, *lines)
    rows = list(get_db().donations.find({}, {"_id": 1}).sort("_id", 1))
    get_db().donations.delete_many({"_id": {"$in": [row["_id"] for row in rows[stored:]]}})
    assert result(post(alice, *lines)) == (1500 - stored, stored, 0)
    assert get_db().donations.count_documents({}) == 1500


def test_a_dry_run_reports_what_an_import_would_do(alice: University, spring: str) -> None:
    post(alice, gift(spring), gift(spring, external_id="a"))
    trial = DonationImport(ObjectId(alice.id), dry_run=True)
    line = {"fundraiser_id": ObjectId(spring), "amount": 100, "currency": "USD"}
    for number in range(2500):
        trial.add(number + 1, {**line, "external_id": f"b{number % 2000}"})
        trial.add(number + 1, line)
    trial.flush()
    assert (trial.created, trial.found) == (4500, 500)
    assert get_db().donations.count_documents({}) == 2


def test_donations_can_be_imported_from_files(
    alice: University, spring: str, tmp_path: Path
) -> None:
    file = tmp_path / "gifts.csv"
    file.write_text(
        "amount,currency,name,email,donated_at\n"
        f"25.00,USD,Bob,bob@example.edu,{JUNE}\n"
        f"1000,JPY,Cash,,{JUNE}\n"
        f"1e9,USD,Cash,,{JUNE}\n"
    )
    options = ["import", "donations", str(file), "--organization", alice.id, "--json"]
    options += ["--mailing", alice.mailing(spring)]
    done = CliRunner().invoke(main, options)
    assert (done.exit_code, result(json.loads(done.stdout))) == (1, (2, 0, 1))
    assert raised(alice, spring) == {"USD": 2500, "JPY": 1000}
    assert result(json.loads(CliRunner().invoke(main, options).stdout)) == (0, 2, 1)
