"""Payments of Stripe's test mode: they count only if a test key signed them."""

import logging
from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db

from documents.webhook_key import WebhookKey
from jobs.sweep import sweep_due_records
from tools.testbed.cast import Api, University, create_university
from tools.testbed.stripe_events import (
    STRIPE_SECRET,
    make_charge_event,
    make_intent_event,
    post_stripe_event,
    set_livemode,
    set_metadata,
    set_stripe_secret,
)

PATH = "/v1/webhook-keys/stripe"
TEST_SECRET = "whsec_of-the-test-mode"
NEWER = "whsec_that-is-newer"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


def give(place: University, livemode: Any, secret: str = STRIPE_SECRET, number: int = 1) -> None:
    spring = place.fundraiser(f"Spring {number}")
    told = make_charge_event("succeeded", id=f"ch_{number}", payment_intent=f"pi_{number}")
    answer = post_stripe_event(
        place, set_livemode(livemode, set_metadata(told, fundraiser_id=spring)), secret
    )
    assert (answer.status, answer.json) == (202, {"accepted": 1})
    sweep_due_records()


def made(place: University) -> int:
    return len(place.get("/v1/donations")["data"])


def refused() -> list[str]:
    rows = get_db().deliveries.find()
    return [one["reason"] for row in rows for one in row["refused"]]


def test_a_test_payment_is_kept_reported_and_not_counted(
    alice: University, caplog: pytest.LogCaptureFixture
) -> None:
    set_stripe_secret(alice)
    with caplog.at_level(logging.WARNING, "documents.payments.ingest"):
        give(alice, False)
    assert made(alice) == 0
    assert [row["reason"] for row in get_db().payments.find()] == ["test_mode"]
    [reason] = refused()
    assert reason.startswith("This is a test payment")
    assert "test payment" in caplog.text
    assert get_db().deliveries.count_documents({"refused_events": 1, "due": None}) == 1
    give(alice, True)
    assert made(alice) == 1


@pytest.mark.parametrize(
    ("livemode", "count", "reason"),
    [
        (..., 1, ""),  # omitted: like live
        (None, 1, ""),
        (True, 1, ""),
        (False, 0, "test payment"),
        ("false", 0, "livemode"),
        ("true", 0, "livemode"),
        (0, 0, "livemode"),
        (1, 0, "livemode"),
        ([], 0, "livemode"),
        ({"mode": "test"}, 0, "livemode"),
    ],
)
def test_missing_and_invalid_modes_are_handled(
    alice: University, livemode: Any, count: int, reason: str
) -> None:
    set_stripe_secret(alice)
    give(alice, livemode)
    assert made(alice) == count
    assert reason in "".join(refused())
    assert bool(refused()) == (not count)


@pytest.mark.parametrize("where", ["event", "object"])
def test_either_of_two_test_modes_makes_a_test_payment(alice: University, where: str) -> None:
    set_stripe_secret(alice)
    told = set_livemode(
        True,
        set_metadata(make_intent_event("succeeded", "succeeded"), fundraiser_id=alice.fundraiser()),
    )
    if where == "event":
        told["livemode"] = False
    else:
        told["data"]["object"]["livemode"] = False
    post_stripe_event(alice, told)
    sweep_due_records()
    assert made(alice) == 0


def test_a_test_key_counts_test_payments(alice: University) -> None:
    set_stripe_secret(alice, TEST_SECRET, test=True)
    found = alice.get(PATH)
    assert (found["test"], found["secret_ends_with"]) == (True, TEST_SECRET[-4:])
    give(alice, False, TEST_SECRET)
    assert (made(alice), refused()) == (1, [])


def test_a_live_key_and_a_test_key_are_valid_at_a_time(alice: University) -> None:
    set_stripe_secret(alice)
    set_stripe_secret(alice, TEST_SECRET, test=True)
    give(alice, True, STRIPE_SECRET, 1)
    give(alice, False, TEST_SECRET, 2)
    assert made(alice) == 2
    give(alice, False, STRIPE_SECRET, 3)  # no test key signed it
    assert made(alice) == 2
    set_stripe_secret(alice, NEWER)  # this replaces the live secret, and keeps the test secret
    for number, secret in enumerate((STRIPE_SECRET, NEWER), 4):
        give(alice, True, secret, number)
    give(alice, False, TEST_SECRET, 6)
    assert made(alice) == 5
    found = alice.get(PATH)
    assert [one["test"] for one in found["secrets"]] == [False, True, False]
    assert (found["secret_ends_with"], found["previous_secret_ends_with"]) == (
        NEWER[-4:],
        STRIPE_SECRET[-4:],
    )
    set_stripe_secret(alice, "whsec_newest-of-all")
    assert post_stripe_event(alice, {}).status == 401
    assert (
        post_stripe_event(alice, {}, TEST_SECRET).status
        == post_stripe_event(alice, {}, NEWER).status
        == 202
    )


def test_a_key_set_again_has_its_latest_mode(alice: University) -> None:
    set_stripe_secret(alice, test=True)
    set_stripe_secret(alice)
    assert alice.get(PATH)["test"] is False
    give(alice, False)
    assert made(alice) == 0
    set_stripe_secret(alice, test=True)
    assert [one["test"] for one in alice.get(PATH)["secrets"]] == [True]
    give(alice, False, number=2)
    assert made(alice) == 1


def test_an_earlier_key_is_live_and_encrypting_it_again_keeps_the_mode(alice: University) -> None:
    set_stripe_secret(alice)
    get_db().webhook_keys.update_many({}, {"$unset": {"test_keys": ""}})
    assert alice.get(PATH)["test"] is False
    set_stripe_secret(alice, TEST_SECRET, test=True)
    assert WebhookKey.reseal() == 1
    assert [one["test"] for one in alice.get(PATH)["secrets"]] == [True, False]
    give(alice, False, TEST_SECRET)
    assert made(alice) == 1


@pytest.mark.parametrize("flag", ["yes", 1, None, "true", []])
def test_the_test_mode_flag_must_be_a_boolean(alice: University, flag: Any) -> None:
    answer = alice.call("PUT", PATH, {"secret": STRIPE_SECRET, "test": flag})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/test")


def test_posts_of_other_processors_have_no_mode(alice: University) -> None:
    body = {"secret": "whsec_" + "bWF0Y2hiYWNrLW1hdGNoYmFjay1tYXRjaGJhY2s=", "test": True}
    answer = alice.call("PUT", "/v1/webhook-keys/payments", body)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/test")
