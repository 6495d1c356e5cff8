"""Experiments under hostile input, simultaneous changes, and records that disappear."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.recount import recount
from tests.integration.documents.outcomes.recomputed import read_arms, recompute_arms
from tests.integration.documents.outcomes.test_experiments import (
    ARMS,
    DAN,
    EVE,
    GIVEN,
    OPENED,
    experiment,
    put,
    record,
)
from tools.testbed.cast import BOB, Api, University, create_university, make_event
from tools.testbed.pages import extract_text, sign_in_staff
from tools.testbed.settled import settle_all

ASCII_NAMES = ["$set", "a.b.c", "..", "$", "_id", "a:b", "'\"<b>"]
NAMES = [*ASCII_NAMES, "日本語", "עברית", "العربية", "ไทย", "🎁 gift"]
HOSTILE_WEIGHTS = ["-1", "1e308", "NaN", "Infinity", "1.5", "1000001", '"1"', "null", "1" * 400]


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def check_arms() -> dict[str, dict[Any, int]]:
    """Settle everything, compare all counters with their records, and return the arms' figures."""
    settle_all()
    assert list(recount.find_drifts()) == []
    figures = read_arms()
    assert figures == {id_: one for id_, one in recompute_arms().items() if one}
    return {id_.split(":", 1)[1]: one for id_, one in figures.items()}


def test_arm_names_in_every_script_count_apart(alice: University) -> None:
    arms = [{"name": name, "weight": 1} for name in NAMES]
    spring, mailing = experiment(alice, arms=arms)
    for number, name in enumerate(NAMES):
        donor = {"name": "D", "email": f"d{number}@example.edu"}
        assert alice.get(f"/v1/emails/{record(alice, spring, mailing, donor, name)}")["arm"] == name
        alice.gift(spring, 100 + number, donor, donated_at=GIVEN)
    figures = check_arms()
    assert {name: one["raised", "USD"] for name, one in figures.items()} == {
        name: 100 + number for number, name in enumerate(NAMES)
    }
    found = alice.get(f"/v1/mailings/{mailing}/experiment")
    assert [(arm["name"], arm["recipients"]) for arm in found["arms"]] == [(n, 1) for n in NAMES]


@pytest.mark.parametrize("weight", HOSTILE_WEIGHTS, ids=lambda weight: weight[:9])
def test_a_hostile_weight_is_a_problem_of_the_client(alice: University, weight: str) -> None:
    mailing = alice.mailing(alice.fundraiser())
    body = f'{{"arms": [{{"name": "a", "weight": 1}}, {{"name": "b", "weight": {weight}}}]}}'
    answer = alice.call(
        "PUT",
        f"/v1/mailings/{mailing}/experiment",
        body=body.encode(),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status in (400, 422)
    assert alice.call("GET", f"/v1/mailings/{mailing}/experiment").status == 404


def test_ten_thousand_arms_are_too_many(alice: University) -> None:
    mailing = alice.mailing(alice.fundraiser())
    arms = [{"name": f"arm {number}", "weight": 1} for number in range(10_000)]
    assert put(alice, mailing, arms=arms).status == 422


def test_a_started_experiment_keeps_its_baseline(alice: University) -> None:
    plain = [{"name": name, "weight": 1} for name in "AB"]
    spring, mailing = experiment(alice, arms=plain)
    record(alice, spring, mailing, BOB, "B")
    for arms in (plain[::-1], [*plain, {"name": "H", "weight": 1, "held_out": True}]):
        answer = put(alice, mailing, arms=arms, window_days=14)
        assert (answer.status, "Its baseline cannot change" in answer.json["detail"]) == (409, True)
    assert put(alice, mailing, arms=[plain[0], *plain], window_days=14).status == 422
    more = [plain[0], {"name": "C", "weight": 1}, plain[1]]
    assert put(alice, mailing, arms=more, window_days=14).status == 200


def test_fifty_changes_at_once_while_emails_arrive_apply_one_after_the_other(
    alice: University,
) -> None:
    spring, mailing = experiment(alice)
    start = threading.Barrier(10)

    def change(number: int) -> int:
        if number < 10:
            start.wait()
        arms = [{**ARMS[0], "weight": number + 1}, ARMS[1]]
        status: int = put(alice, mailing, arms=arms, window_days=14).status
        return status

    def post(number: int) -> int:
        user = {"name": "D", "email": f"d{number % 30}@example.edu"}
        values = {"fundraiser_id": spring, "mailing_id": mailing, "user": user}
        return alice.call("POST", "/v1/emails", values).status

    with ThreadPoolExecutor(12) as pool:
        changes = [pool.submit(change, number) for number in range(50)]
        posts = [pool.submit(post, number) for number in range(60)]
        assert {one.result() for one in changes} == {200}
        assert sorted({one.result() for one in posts}) == [201, 409]
    found = alice.get(f"/v1/mailings/{mailing}/experiment")
    assert found["version"] == 51
    assert sum(one["recipients"] for one in check_arms().values()) == 30


def test_two_mailings_count_a_gift_of_the_same_user_once_each(alice: University) -> None:
    spring, first = experiment(alice)
    second = alice.mailing(spring, sent_at=GIVEN)
    assert put(alice, second).status == 200
    record(alice, spring, first, EVE, "holdout")
    sent = record(alice, spring, second, EVE, "sent")
    gift = alice.gift(spring, 2500, EVE, donated_at="2025-11-24T00:00:00Z")
    settle_all()
    assert alice.get(f"/v1/donations/{gift}")["email_id"] == sent
    figures = read_arms()
    assert [figures[f"{first}:holdout"]["raised", "USD"], figures[f"{second}:sent"]["givers"]] == [
        2500,
        1,
    ]
    alice.call("PATCH", f"/v1/donations/{gift}", {"status": "refunded"})
    assert all(("raised", "USD") not in one for one in check_arms().values())


def test_a_refund_after_the_window_reduces_the_arm(alice: University) -> None:
    spring, mailing = experiment(alice, window_days=1)
    alice.call("PATCH", f"/v1/mailings/{mailing}", {"sent_at": GIVEN})
    record(alice, spring, mailing, EVE, "holdout")
    gift = alice.gift(spring, 2500, EVE, donated_at=GIVEN)
    assert check_arms()["holdout"]["raised", "USD"] == 2500
    alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 700})
    assert check_arms()["holdout"]["raised", "USD"] == 1800
    alice.call("PATCH", f"/v1/donations/{gift}", {"refunded_amount": 2500})
    assert "givers" not in check_arms()["holdout"]


def test_records_of_an_experiment_cannot_disappear_below_their_emails(alice: University) -> None:
    spring, mailing = experiment(alice)
    email = record(alice, spring, mailing, EVE, "holdout")
    user = alice.get(f"/v1/emails/{email}")["user_id"]
    gift = alice.gift(spring, 2500, EVE, donated_at=GIVEN)
    settle_all()
    paths = [f"/v1/mailings/{mailing}", f"/v1/fundraisers/{spring}", f"/v1/users/{user}"]
    assert [alice.call("DELETE", path).status for path in paths] == [409, 409, 409]
    assert check_arms()["holdout"]["raised", "USD"] == 2500
    for path in (f"/v1/donations/{gift}", f"/v1/emails/{email}"):
        assert alice.call("DELETE", path).status == 204
    settle_all()
    assert [alice.call("DELETE", path).status for path in paths] == [204, 204, 204]
    assert check_arms() == {}


def test_an_import_repeats_without_another_arm_after_weights_change(alice: University) -> None:
    _, mailing = experiment(alice)
    people = [{"name": "D", "email": f"d{number}@example.edu"} for number in range(20)]
    body = "".join(json.dumps({"mailing_id": mailing, "user": one}) + "\n" for one in people)
    headers = {"Content-Type": "application/x-ndjson"}

    def post() -> Any:
        return alice.call("POST", "/v1/emails/import", body=body.encode(), headers=headers).json

    first = post()
    changed = [{**ARMS[0], "weight": 0}, ARMS[1]]
    assert put(alice, mailing, arms=changed, window_days=14).status == 200
    again = post()
    assert (again["created"], again["found"]) == (0, 20)
    assert again["held_out_lines"] == first["held_out_lines"]
    assert sum(one["recipients"] for one in check_arms().values()) == 20


def test_a_held_out_email_that_arrives_shows_on_the_page(
    alice: University, real_client: testing.TestClient
) -> None:
    """The client named the arm, and the platform sent the email although it is held out."""
    spring, mailing = experiment(alice)
    record(alice, spring, mailing, BOB, "sent")
    held_out = [record(alice, spring, mailing, one, "holdout") for one in (EVE, DAN)]
    browser = sign_in_staff(real_client, alice.id, "alice@example.edu")
    path = f"/dashboard/mailings/{mailing}/experiment"
    assert "held-out recipient" not in extract_text(browser.get(path))
    alice.deliver([make_event(held_out[0], "delivered", OPENED)])
    check_arms()
    assert "1 held-out recipient got the email." in extract_text(browser.get(path))
    alice.deliver([make_event(held_out[1], "delivered", OPENED)] * 2)
    check_arms()
    assert "2 held-out recipients got the email." in extract_text(browser.get(path))


def test_a_page_changes_weights_and_adds_arms_after_the_start(
    alice: University, real_client: testing.TestClient
) -> None:
    arms = [{"name": "日本語 $.a", "weight": 1}, ARMS[1]]
    spring, mailing = experiment(alice, arms=arms)
    browser = sign_in_staff(real_client, alice.id, "alice@example.edu")
    path = f"/dashboard/mailings/{mailing}/experiment"
    assert "Change arms" not in extract_text(browser.get(path))
    record(alice, spring, mailing, EVE, "holdout")
    assert "Change arms" in extract_text(browser.get(path))
    fields: dict[str, Any] = {
        "arm_name": ["日本語 $.a", "holdout", "third", ""],
        "arm_weight": [4, 0, 2, 1],
        "held_out": [1],
        "window_days": 14,
        "scope": "fundraiser",
    }
    assert browser.send(path, fields).status_code == 303
    found = alice.get(f"/v1/mailings/{mailing}/experiment")["arms"]
    assert [(arm["name"], arm["weight"], arm["held_out"]) for arm in found] == [
        ("日本語 $.a", 4, False),
        ("holdout", 0, True),
        ("third", 2, False),
    ]
    changes: list[dict[str, Any]] = [
        {"window_days": 7},
        {"held_out": []},
        {"arm_name": ["a", "b", "c"]},
    ]
    for change in changes:
        refused = browser.send(path, {**fields, **change})
        assert refused.status_code == 409
        assert "you can only change weights and add arms" in extract_text(refused)
    assert browser.send(path, {"remove": "1"}).status_code == 409
    assert get_db().mailings.count_documents({"experiment.version": 2}) == 1


def test_a_bad_address_of_an_experiment_is_not_found(alice: University) -> None:
    for id_ in (str(ObjectId()), "0" * 24):
        assert put(alice, id_).status == 404
