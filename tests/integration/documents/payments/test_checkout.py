"""Checkout Sessions and Payment Links: data that only the session contains reaches the gift."""

import itertools
import json
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db

from documents.payments.rules import decide_gift_state
from documents.recount import recount
from documents.tracking.replay import replay_deliveries
from jobs.sweep import sweep_due_records
from tests.unit.documents.payments.test_stripe_events import facts_of
from tools.testbed.cast import BOB, Api, University, create_university
from tools.testbed.settled import settle_all
from tools.testbed.stripe_events import (
    FIRST_EVENT_AT,
    INTENT_ID,
    INVOICE_ID,
    StripeEvent,
    make_charge_event,
    make_intent_event,
    make_invoice_event,
    make_invoice_payment_event,
    make_session_event,
    post_stripe_event,
    set_metadata,
    set_stripe_secret,
)

SENT = "2025-11-20T00:00:00Z"
ANN = {"name": "Ann Able", "email": "ann@example.edu"}
NO_ONE = {"name": None, "email": None}
TOKEN = "t" * 38


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    set_stripe_secret(alice)
    return alice


def gifts(alice: University) -> list[Any]:
    settle_all()
    found: list[Any] = alice.get("/v1/donations?limit=200")["data"]
    return sorted(found, key=lambda gift: str(gift["external_id"]))


def numbered(events: list[StripeEvent], number: int) -> list[StripeEvent]:
    text = json.dumps(events)
    for id_ in ("pi_1", "ch_1", "in_1", "cs_1", "sub_1", "inpay_1", "pi_2", "ch_2", "in_2"):
        text = text.replace(f'"{id_}"', f'"{id_}_{number}"')
    told: list[StripeEvent] = json.loads(text)
    return told


def one_time(fundraiser: str, **more: Any) -> list[StripeEvent]:
    """Return events of a Payment Link, which names the fundraiser. The visit names the email."""
    return [
        make_session_event("completed", 4, metadata={"fundraiser_id": fundraiser}, **more),
        make_intent_event("succeeded", "succeeded", 2),
        make_charge_event("succeeded", 1, billing_details=NO_ONE),
        make_charge_event("updated", 5, billing_details=NO_ONE),
    ]


def subscription(fundraiser: str, **more: Any) -> list[StripeEvent]:
    """Return events of a plan's session, its first instalment, and the next one a month later."""
    ended = {"payment_intent": None, "subscription": "sub_1", "invoice": INVOICE_ID}
    second = {"id": "pi_2", "created": FIRST_EVENT_AT + 2_592_000}
    of_second = {"type": "payment_intent", "payment_intent": "pi_2"}
    paid = make_invoice_payment_event(2_592_003)
    paid["data"]["object"] |= {"id": "inpay_2", "invoice": "in_2", "payment": of_second}
    more |= {"mode": "subscription", "metadata": {"fundraiser_id": fundraiser}}
    return [
        make_session_event("completed", 4, **ended, **more),
        make_invoice_event("paid", 3),
        make_invoice_payment_event(3),
        make_intent_event("succeeded", "succeeded", 2),
        make_invoice_event(
            "paid", 2_592_003, id="in_2", status_transitions={"paid_at": FIRST_EVENT_AT + 2_592_002}
        ),
        paid,
        make_intent_event("succeeded", "succeeded", 2_592_002, **second),
    ]


@pytest.mark.parametrize("named_by", ["metadata", "token", "damaged token", "id"])
def test_a_payment_link_gives_the_same_gift_in_every_order(
    alice: University, named_by: str
) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    token = alice.get(f"/v1/emails/{email}")["link_token"]
    more: dict[str, Any] = {
        "metadata": {},
        "token": {"client_reference_id": token},
        "damaged token": {"client_reference_id": f"3D{token}&fbclid=IwAR0x."},
        "id": {"client_reference_id": email},
    }[named_by]
    events = one_time(spring, payment_link="plink_1", customer_details=ANN, **more)
    if named_by == "metadata":
        events[0] = set_metadata(events[0], fundraiser_id=spring, email_id=token)
    chance = random.Random(1)
    orders = list(itertools.permutations(range(len(events))))
    for number, order in enumerate(orders):
        told = numbered(events, number)
        for index in order:
            assert post_stripe_event(alice, told[index]).status == 202
            if chance.random() < 0.3:
                post_stripe_event(alice, chance.choice(told[: index + 1]))
            if chance.random() < 0.4:
                sweep_due_records()
    made = gifts(alice)
    assert {gift["external_id"] for gift in made} == {f"pi_1_{n}" for n in range(len(orders))}
    assert {(gift["match"], gift["email_id"], gift["status"]) for gift in made} == {
        ("link", email, "succeeded")
    }
    assert {json.dumps(gift["donor"], sort_keys=True) for gift in made} == {
        json.dumps(ANN, sort_keys=True)
    }
    assert alice.report(spring)["donations"]["raised"] == {"USD": 2500 * len(orders)}


def test_a_late_session_rematches_the_gift(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    for event in (
        make_intent_event("succeeded", "succeeded", 2),
        make_charge_event("succeeded", 1),
    ):
        post_stripe_event(alice, set_metadata(event, fundraiser_id=spring))
    [gift] = gifts(alice)
    assert (gift["match"], gift["email_id"]) == ("address", email)
    other = alice.email(spring, ANN, sent_at=SENT)
    post_stripe_event(alice, make_session_event("completed", 4, client_reference_id=other))
    [gift] = gifts(alice)
    assert (gift["match"], gift["email_id"], gift["donor"]) == ("link", other, BOB)


def test_a_plan_gives_the_same_gifts_in_many_orders(alice: University) -> None:
    """Each instalment gets the data of the plan's session, in any order of arrival."""
    spring = alice.fundraiser()
    email = alice.email(spring, ANN, sent_at=SENT)
    token = alice.get(f"/v1/emails/{email}")["link_token"]
    events = subscription(spring, client_reference_id=token)
    chance = random.Random(2)
    orders = chance.sample(list(itertools.permutations(range(len(events)))), 12)
    for number, order in enumerate(orders):
        told = numbered(events, number)
        for index in order:
            assert post_stripe_event(alice, told[index]).status == 202
            if chance.random() < 0.3:
                sweep_due_records()
        post_stripe_event(alice, chance.choice(told))
    made = gifts(alice)
    assert sorted(gift["external_id"] for gift in made) == sorted(
        f"{intent_id}_{number}" for number in range(len(orders)) for intent_id in ("pi_1", "pi_2")
    )
    assert {(gift["email_id"], gift["status"], gift["fundraiser_id"]) for gift in made} == {
        (email, "succeeded", spring)
    }
    plans = {gift["recurring_id"] for gift in made}
    assert plans == {f"sub_1_{number}" for number in range(len(orders))}


def test_parallel_and_repeated_events_of_a_plan_count_once(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, ANN, sent_at=SENT)
    events = [
        event
        for number in range(4)
        for event in numbered(subscription(spring, client_reference_id=email), number)
    ] * 2
    random.Random(4).shuffle(events)

    def act(event: StripeEvent) -> None:
        assert post_stripe_event(alice, event).status == 202
        sweep_due_records()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(act, events))
    made = gifts(alice)
    assert len(made) == 8
    assert {(gift["email_id"], gift["status"]) for gift in made} == {(email, "succeeded")}
    payments = list(get_db().payments.find().sort("_id", 1))
    assert sum(replay_deliveries()) == len(events)
    assert gifts(alice) == made
    assert list(get_db().payments.find().sort("_id", 1)) == payments
    assert list(recount.find_drifts()) == []


def test_a_paid_plan_session_does_not_pay_a_failed_instalment(alice: University) -> None:
    spring = alice.fundraiser()
    for event in (
        make_session_event(
            "completed",
            4,
            mode="subscription",
            payment_intent=None,
            invoice=INVOICE_ID,
            subscription="sub_1",
            metadata={"fundraiser_id": spring},
        ),
        make_invoice_event("payment_failed", 90, id="in_2", payment_intent="pi_2"),
    ):
        post_stripe_event(alice, event)
    [gift] = gifts(alice)
    assert (gift["external_id"], gift["status"]) == ("pi_2", "failed")


@pytest.mark.parametrize("swap", [False, True])
def test_data_closer_to_the_money_wins(alice: University, swap: bool) -> None:
    spring = alice.fundraiser()
    near, far = (alice.email(spring, who, sent_at=SENT) for who in (BOB, ANN))
    told = [
        set_metadata(
            make_intent_event("succeeded", "succeeded", 2), fundraiser_id=spring, email_id=near
        ),
        make_session_event("completed", 4, metadata={"email_id": far}, client_reference_id=far),
    ]
    for event in reversed(told) if swap else told:
        post_stripe_event(alice, event)
        sweep_due_records()
    [gift] = gifts(alice)
    assert (gift["match"], gift["email_id"]) == ("link", near)


def test_the_closest_fundraiser_wins_in_every_order(alice: University) -> None:
    near, far = alice.fundraiser("Near"), alice.fundraiser("Far")
    told = [
        set_metadata(make_intent_event("succeeded", "succeeded", 2), fundraiser_id="nonsense"),
        set_metadata(make_charge_event("succeeded", 1), fundraiser_id=near),
        make_session_event("completed", 4, metadata={"fundraiser_id": far}),
    ]
    for number, order in enumerate(itertools.permutations(range(len(told)))):
        events = numbered(told, number)
        for index in order:
            post_stripe_event(alice, events[index])
            sweep_due_records()
    made = gifts(alice)
    assert {(gift["fundraiser_id"], gift["status"]) for gift in made} == {(near, "succeeded")}
    assert alice.get(f"/v1/fundraisers/{near}")["raised"] == {"USD": 6 * 2500}
    assert alice.get(f"/v1/fundraisers/{far}")["raised"] == {}
    assert alice.report(far)["donations"]["donors"] == 0
    assert alice.report(near)["donations"]["donors"] == 1
    assert list(recount.find_drifts()) == []


def session_state(*events: StripeEvent) -> Any:
    return decide_gift_state(facts_of(list(events)))


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (TOKEN, TOKEN),
        ("f" * 24, "f" * 24),
        (f"{TOKEN}&utm_source=spring", f"{TOKEN}&utm_source=spring"),
        (f"3D{TOKEN}.", f"3D{TOKEN}."),
        (f"email_id={'f' * 24}>", f"email_id={'f' * 24}>"),
        ("order_1042", None),
        ("t" * 37, None),
        ("bob@example.edu", None),
        (5, None),
        ({"id": TOKEN}, None),
        (None, None),
    ],
)
def test_a_reference_of_another_system_is_not_an_email(
    reference: Any, expected: str | None
) -> None:
    found = session_state(make_session_event("completed", 4, client_reference_id=reference))
    assert found.email_ref == expected
    metadata = {"email_id": "from metadata"}
    found = session_state(
        make_session_event("completed", 4, client_reference_id=reference, metadata=metadata)
    )
    assert found.email_ref == "from metadata"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, ("succeeded", 2500)),
        ({"payment_status": "unpaid"}, ("pending", 2500)),
        ({"payment_status": "no_payment_required", "amount_total": 0}, None),
        ({"payment_status": "unpaid", "status": "expired"}, None),
        ({"payment_status": "unpaid", "status": "open"}, None),
        ({"payment_intent": None, "mode": "setup", "currency": None}, None),
        ({"payment_intent": {"id": INTENT_ID, "object": "payment_intent"}}, ("succeeded", 2500)),
    ],
)
def test_a_session_with_a_payment_is_a_gift(more: Any, expected: Any) -> None:
    found = session_state(make_session_event("completed", 4, **more))
    assert (found and (found.status, found.amount)) == expected


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ([make_session_event("async_payment_succeeded", 90)], "succeeded"),
        (
            [
                make_session_event("async_payment_failed", 90, payment_status="unpaid"),
                make_intent_event("payment_failed", "requires_payment_method", 90),
            ],
            "failed",
        ),
    ],
)
def test_a_payment_that_takes_days_becomes_a_gift(told: list[StripeEvent], status: str) -> None:
    begun = [
        make_session_event("completed", 4, payment_status="unpaid"),
        make_intent_event("processing", "processing", 3),
        *told,
    ]
    found = {session_state(*order).status for order in itertools.permutations(begun)}
    assert found == {status}


def test_the_charges_amount_wins_over_the_sessions() -> None:
    told = [
        make_session_event("completed", 4, amount_total=9900, currency="eur"),
        make_charge_event("succeeded", 1),
    ]
    for order in itertools.permutations(told):
        found = session_state(*order)
        assert (found.amount, found.currency) == (2500, "USD")


def test_an_erased_donors_session_is_forgotten(alice: University) -> None:
    spring = alice.fundraiser()
    alice.email(spring, ANN, sent_at=SENT)
    post_stripe_event(
        alice,
        make_session_event(
            "completed", 4, customer_details=ANN, metadata={"fundraiser_id": spring}
        ),
    )
    [gift] = gifts(alice)
    alice.call("DELETE", f"/v1/users/{gift['user_id']}?erase=true")
    settle_all()
    post_stripe_event(
        alice,
        make_session_event(
            "completed", 9, customer_details=ANN, metadata={"fundraiser_id": spring}
        ),
    )
    gifts(alice)
    assert ANN["email"] not in str(list(get_db().payments.find()))
