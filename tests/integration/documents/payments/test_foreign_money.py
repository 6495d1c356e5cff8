"""Money in another currency: refunds subtract nothing from the gift, and disputes dispute it."""

import itertools
import logging
import random
from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db

from documents.payments.rules import decide_gift_state, find_odd_facts
from tests.integration.documents.payments.test_payments import SECRET, gifts, post
from tests.unit.documents.payments.test_stripe_events import facts_of
from tools.testbed.cast import BOB, Api, University, create_university
from tools.testbed.stripe_events import (
    BASIL_API_VERSION,
    INTENT_ID,
    StripeEvent,
    make_charge_event,
    make_dispute_event,
    make_intent_event,
    make_refund_event,
    post_stripe_event,
    set_api_version,
    set_metadata,
    set_stripe_secret,
)

EUR = {"currency": "eur"}
SUCCEEDED = [make_intent_event("succeeded", "succeeded", 2), make_charge_event("succeeded", 1)]


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    set_stripe_secret(alice)
    alice.call("PUT", "/v1/webhook-keys/payments", {"secret": SECRET})
    return alice


def in_eur(event: StripeEvent) -> StripeEvent:
    return event_in(event, "eur")


def event_in(event: StripeEvent, currency: str) -> StripeEvent:
    thing = event["data"]["object"]
    return event | {"data": {"object": thing | {"currency": currency}}}


STORIES: dict[str, tuple[list[StripeEvent], tuple[str, int], set[str]]] = {
    "a refund": (
        [*SUCCEEDED, make_refund_event("refund.created", "re_1", 500, 5, **EUR)],
        ("succeeded", 0),
        {"re_1"},
    ),
    "a refund of as much as was given": (
        [*SUCCEEDED, make_refund_event("refund.created", "re_1", 2500, 5, **EUR)],
        ("succeeded", 0),
        {"re_1"},
    ),
    "one of each": (
        [
            *SUCCEEDED,
            make_refund_event("refund.created", "re_1", 500, 5, **EUR),
            make_refund_event("refund.created", "re_2", 300, 6),
            make_charge_event("refunded", 6, amount_refunded=300),
        ],
        ("succeeded", 300),
        {"re_1"},
    ),
    "a refund that failed": (
        [
            *SUCCEEDED,
            make_charge_event("refunded", 6, amount_refunded=300),
            make_refund_event("refund.failed", "re_1", 300, 8, "failed", created=5, **EUR),
        ],
        ("succeeded", 300),
        {"re_1"},
    ),
    "as much as was released": (
        [
            set_api_version(
                BASIL_API_VERSION, make_charge_event("captured", 3, amount_captured=1500)
            ),
            make_refund_event("refund.created", "re_1", 1000, 3, **EUR),
        ],
        ("succeeded", 0),
        {"re_1"},
    ),
    "without minor units": (
        [*SUCCEEDED, make_refund_event("refund.created", "re_1", 500, 5, currency="jpy")],
        ("succeeded", 0),
        {"re_1"},
    ),
    "an unknown currency": (
        [*SUCCEEDED, make_refund_event("refund.created", "re_1", 500, 5, currency="usdc")],
        ("succeeded", 0),
        {"re_1"},
    ),
    "an unknown currency, listed with its charge": (
        [
            make_charge_event(
                "refunded",
                6,
                amount_refunded=300,
                refunds={
                    "data": [
                        make_refund_event("x", id_, amount, 5, currency=currency)["data"]["object"]
                        for id_, amount, currency in (("re_1", 500, "usdc"), ("re_2", 300, "usd"))
                    ]
                },
            ),
        ],
        ("succeeded", 300),
        {"re_1"},
    ),
    "a dispute": (
        [*SUCCEEDED, in_eur(make_dispute_event("created", "needs_response", 5))],
        ("disputed", 0),
        set(),
    ),
    "a dispute that was won": (
        [
            *SUCCEEDED,
            in_eur(make_dispute_event("created", "needs_response", 5)),
            in_eur(make_dispute_event("closed", "won", 9)),
        ],
        ("succeeded", 0),
        set(),
    ),
    "a dispute after a refund": (
        [
            *SUCCEEDED,
            make_refund_event("refund.created", "re_1", 2500, 5, **EUR),
            in_eur(make_dispute_event("created", "needs_response", 7)),
        ],
        ("disputed", 0),
        {"re_1"},
    ),
    "a dispute in an unknown currency": (
        [
            *SUCCEEDED,
            event_in(make_dispute_event("created", "lost", 5), "usdc"),
        ],
        ("disputed", 0),
        set(),
    ),
    "what the donor saw": (
        [
            *SUCCEEDED,
            make_refund_event(
                "refund.created",
                "re_1",
                500,
                5,
                presentment_details={"presentment_amount": 460, "presentment_currency": "eur"},
                balance_transaction={"currency": "gbp", "amount": -390},
            ),
        ],
        ("succeeded", 500),
        set(),
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_every_order_gives_the_same_result(name: str) -> None:
    events, expected, odd = STORIES[name]
    chance = random.Random(1)
    for order in itertools.permutations(events):
        facts = facts_of([*order, *chance.choices(events, k=2)])
        found = decide_gift_state(facts)
        assert found
        assert (found.status, found.refunded_amount) == expected
        assert found.currency == "USD"
        assert set(find_odd_facts(facts)) == odd
        assert odd <= set(facts)  # kept


def test_the_difference_is_reported_in_every_order(
    alice: University, caplog: pytest.LogCaptureFixture
) -> None:
    spring = alice.fundraiser()
    events, _, _ = STORIES["one of each"]
    orders = list(itertools.permutations(range(len(events))))
    orders = random.Random(3).sample(orders, 6)
    with caplog.at_level(logging.WARNING, "documents.payments.ingest"):
        for number, order in enumerate(orders):
            for index in order:
                told = events[index]
                thing = dict(told["data"]["object"])
                for name in ("id", "payment_intent", "charge"):
                    if thing.get(name):
                        thing[name] = f"{thing[name]}_{number}"
                told = told | {"data": {"object": thing}}
                post_stripe_event(alice, set_metadata(told, fundraiser_id=spring))
                gifts(alice)
    made = gifts(alice)
    assert [(gift["status"], gift["refunded_amount"]) for gift in made] == [
        ("succeeded", 300)
    ] * len(orders)
    assert alice.report(spring)["donations"]["raised"] == {"USD": len(orders) * 2200}
    reasons = [
        refused["reason"]
        for row in get_db().deliveries.find()
        for refused in row["refused"]
        if "currency" in refused["reason"]
    ]
    assert reasons == ["The refund has another currency than the gift and changes nothing."] * len(
        orders
    )
    assert caplog.text.count("another currency") == len(orders)
    notes = [row["notes"] for row in get_db().payments.find()]
    assert [set(note) for note in notes] == [{f"re_1_{number}"} for number in range(len(orders))]


def test_a_clients_gift_in_another_currency_keeps_its_money(alice: University) -> None:
    spring = alice.fundraiser()
    alice.gift(spring, 2500, BOB, external_id=INTENT_ID)
    for event in (
        in_eur(make_charge_event("succeeded", 1)),
        in_eur(make_charge_event("refunded", 5, amount_refunded=500)),
        in_eur(make_refund_event("refund.created", "re_1", 500, 5)),
        in_eur(make_charge_event("refunded", 9, amount_refunded=2500)),
    ):
        post_stripe_event(alice, event)
        [gift] = gifts(alice)
        assert (gift["status"], gift["refunded_amount"]) == ("succeeded", 0)
    assert alice.report(spring)["donations"]["raised"] == {"USD": 2500}
    [payment] = get_db().payments.find()
    assert set(payment["notes"]) == {"gift"}
    assert sum(row["refused_events"] for row in get_db().deliveries.find()) == 1


@pytest.mark.parametrize("refunded", [0, 500, 2500])
def test_a_dispute_in_another_currency_disputes_a_clients_gift(
    alice: University, refunded: int
) -> None:
    spring = alice.fundraiser()
    alice.gift(spring, 2500, BOB, external_id=INTENT_ID)
    steps = (
        (make_dispute_event("created", "needs_response", 5), "disputed"),
        (make_charge_event("refunded", 6, amount_refunded=refunded), "disputed"),
        (make_dispute_event("closed", "won", 9), "succeeded"),
    )
    post_stripe_event(alice, in_eur(make_charge_event("succeeded", 1)))
    for event, status in steps:
        post_stripe_event(alice, in_eur(event))
        [gift] = gifts(alice)
        assert (gift["status"], gift["refunded_amount"]) == (status, 0)
        raised = {"USD": 2500} if status == "succeeded" else {}
        assert alice.report(spring)["donations"]["raised"] == raised


def test_a_posted_dispute_in_another_currency_disputes_the_gift(alice: University) -> None:
    spring = alice.fundraiser()
    alice.gift(spring, 2500, BOB, external_id="gift-1")
    post(alice, "gift-1", 1_763_800_000, spring, currency="EUR", amount=500, status="disputed")
    [gift] = gifts(alice)
    assert (gift["status"], gift["refunded_amount"], gift["currency"]) == ("disputed", 0, "USD")


@pytest.mark.parametrize("status", ["refunded", "disputed", "succeeded"])
def test_a_post_subtracts_nothing_from_a_gift_in_another_currency(
    alice: University, status: str
) -> None:
    spring = alice.fundraiser()
    alice.gift(spring, 2500, BOB, external_id="gift-1")
    post(alice, "gift-1", 1_763_800_000, spring, currency="EUR", amount=500, status=status)
    post(alice, "gift-1", 1_763_800_001, spring, currency="EUR", amount=500, refunded_amount=500)
    [gift] = gifts(alice)
    assert (gift["status"], gift["refunded_amount"], gift["currency"]) == ("succeeded", 0, "USD")
    rows: list[Any] = list(get_db().deliveries.find())
    assert "another currency" in rows[0]["refused"][0]["reason"]


def test_a_clients_gift_still_fails_with_its_payment(alice: University) -> None:
    spring = alice.fundraiser()
    alice.gift(spring, 2500, BOB, external_id="gift-1", status="pending")
    post(alice, "gift-1", 1_763_800_000, spring, currency="EUR", status="failed")
    [gift] = gifts(alice)
    assert gift["status"] == "failed"
