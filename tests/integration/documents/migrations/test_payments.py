"""Gifts that an earlier version derived incorrectly are corrected from their webhooks."""

from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db

from documents.migrations.migration import list_pending, run_migrations
from documents.migrations.steps import MIGRATIONS
from tests.integration.documents.payments.test_payments import gifts
from tests.unit.documents.payments.stripe_captures import captured, release
from tools.testbed.cast import Api, University, create_university
from tools.testbed.stripe_events import (
    BASIL_API_VERSION,
    INTENT_ID,
    OLDER_API_VERSION,
    make_charge_event,
    make_intent_event,
    make_refund_event,
    make_session_event,
    post_stripe_event,
    set_api_version,
    set_metadata,
    set_stripe_secret,
)

TODAYS = (
    "authorized",
    "captured",
    "is_final",
    "amount_refunded",
    "is_refunded",
    "is_basil",
    "charge",
    "is_release",
    "is_given_back",
    "plan",
)


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    set_stripe_secret(alice)
    return alice


def go_back(refunded: int) -> None:
    """Give the stored payment and its gift the incorrect form of the previous version."""
    for payment in get_db().payments.find():
        facts: dict[str, Any] = {}
        for id_, fact in payment["facts"].items():
            if fact["kind"] in ("capture", "session"):
                continue
            kept = {name: value for name, value in fact.items() if name not in TODAYS}
            if fact["kind"] == "charge":
                released = fact["authorized"] - fact["captured"]
                kept["refunded"] = max(0, fact["amount_refunded"] - released)
            elif "currency" in kept and fact["kind"] in ("refund", "dispute"):
                del kept["currency"]
            facts[id_] = kept
        applied = {**payment["applied"], "refunded_amount": refunded, "status": "succeeded"}
        change = {"facts": facts, "applied": applied}
        get_db().payments.update_one({"_id": payment["_id"]}, {"$set": change})
    wrong = {"refunded_amount": refunded, "status": "succeeded"}
    get_db().donations.update_many({}, {"$set": wrong})
    get_db().migrations.delete_one({"_id": 14})


@pytest.mark.parametrize(
    ("events", "wrong", "expected"),
    [
        (
            [
                set_api_version(BASIL_API_VERSION, captured("captured", 3, 10_000, 4000)),
                set_api_version(BASIL_API_VERSION, captured("refunded", 9, 10_000, 4000, 4000)),
            ],
            0,
            ("refunded", 4000),
        ),
        (
            [
                set_api_version(OLDER_API_VERSION, captured("captured", 3, 10_000, 6000, 4000)),
                set_api_version(OLDER_API_VERSION, release(4000, 3)),
            ],
            4000,
            ("succeeded", 0),
        ),
        ([captured("captured", 3, 10_000, 11_500)], 1500, ("succeeded", 0)),
        (
            [
                make_charge_event("succeeded", 1),
                make_refund_event("refund.created", "re_1", 500, 5, currency="eur"),
            ],
            500,
            ("succeeded", 0),
        ),
        (
            [
                make_charge_event("succeeded", 1),
                make_refund_event("refund.created", "re_1", 500, 5),
                make_charge_event("refunded", 5, amount_refunded=500),
            ],
            500,
            ("succeeded", 500),
        ),
    ],
)
def test_incorrect_refunds_are_corrected(
    alice: University, events: list[Any], wrong: int, expected: tuple[str, int]
) -> None:
    spring = alice.fundraiser()
    for event in (make_intent_event("succeeded", "succeeded", 2), *events):
        post_stripe_event(alice, set_metadata(event, fundraiser_id=spring))
    gifts(alice)
    go_back(wrong)
    [told] = [told for told in run_migrations(MIGRATIONS) if told.migration.number == 14]
    assert told.is_finished
    assert list_pending(MIGRATIONS) == []
    [gift] = gifts(alice)
    assert (gift["status"], gift["refunded_amount"]) == expected
    raised = gift["amount"] - gift["refunded_amount"]
    assert alice.report(spring)["donations"]["raised"] == ({"USD": raised} if raised else {})


def test_data_of_a_session_reaches_the_gift(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at="2025-11-20T00:00:00Z")
    post_stripe_event(alice, set_metadata(make_charge_event("succeeded", 1), fundraiser_id=spring))
    post_stripe_event(alice, make_session_event("completed", 4, client_reference_id=email))
    gifts(alice)
    go_back(0)
    get_db().donations.update_many({}, {"$unset": {"email_ref": ""}})
    get_db().payments.update_many({}, {"$set": {"applied.email_ref": None}})
    list(run_migrations(MIGRATIONS))
    [gift] = gifts(alice)
    assert (gift["external_id"], gift["match"], gift["email_id"]) == (INTENT_ID, "link", email)


def test_repeated_or_parallel_corrections_change_nothing(alice: University) -> None:
    spring = alice.fundraiser()
    for body in ("{", "[]", '{"data": 1}', '{"data": {"object": []}}'):
        post_stripe_event(alice, None, body=body)
    post_stripe_event(
        alice, set_metadata(captured("refunded", 9, 10_000, 4000, 4000), fundraiser_id=spring)
    )
    before = gifts(alice)
    for _ in range(2):
        get_db().migrations.delete_one({"_id": 14})
        list(run_migrations(MIGRATIONS))
        list(run_migrations(MIGRATIONS))
        assert gifts(alice) == before
