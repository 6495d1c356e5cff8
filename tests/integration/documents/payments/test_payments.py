"""Gifts from payment webhooks: one gift each, exact counters, for events in any order."""

import itertools
import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from falcon import testing
from mongoengine import get_db
from standardwebhooks import Webhook

from jobs.sweep import sweep_due_records
from tools.testbed.cast import BOB, Api, ApiAnswer, University, create_university
from tools.testbed.settled import settle_all
from tools.testbed.stripe_events import (
    INTENT_ID,
    list_payment_stories,
    make_charge_event,
    make_intent_event,
    make_invoice_event,
    make_invoice_payment_event,
    make_refund_event,
    post_stripe_event,
    set_metadata,
    set_stripe_secret,
)

SECRET = "whsec_" + "bWF0Y2hiYWNrLW1hdGNoYmFjay1tYXRjaGJhY2s="
SENT = "2025-11-20T00:00:00Z"
STORIES = list_payment_stories()


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    set_stripe_secret(alice)
    alice.call("PUT", "/v1/webhook-keys/payments", {"secret": SECRET})
    return alice


def post(place: University, external_id: str, at: float, fundraiser: str, **more: Any) -> ApiAnswer:
    """Post a gift's state as any payment processor would."""
    time = datetime.fromtimestamp(at, UTC)
    gift = {"external_id": external_id, "fundraiser_id": fundraiser, "amount": 2500}
    gift |= {"currency": "USD", "status": "succeeded", "donor": BOB, **more}
    body = json.dumps({"type": "donation.updated", "timestamp": time.isoformat(), "data": gift})
    sent_at = datetime.now(UTC)
    headers = {
        "webhook-id": f"msg_{at}",
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(f"msg_{at}", sent_at, body),
    }
    path = f"/v1/webhooks/payments/{place.id}"
    return place.api.call("POST", path, body=body.encode(), headers=headers)


def gifts(alice: University) -> list[Any]:
    settle_all()
    found: list[Any] = alice.get("/v1/donations")["data"]
    return found


def named(story: list[Any], number: int, fundraiser: str, email: str) -> list[Any]:
    """Return the events of another gift, with its own IDs and a platform's metadata."""
    text = json.dumps(story)
    for id_ in ("pi_1", "ch_1", "ch_0", "in_1", "re_1", "re_2", "du_1", "inpay_1"):
        text = text.replace(f'"{id_}"', f'"{id_}_{number}"')
    kinds = ("payment_intent", "charge", "invoice")
    metadata = {"fundraiser_id": fundraiser, "email_id": email}
    return [
        set_metadata(event, **metadata) if event["data"]["object"]["object"] in kinds else event
        for event in json.loads(text)
    ]


@pytest.mark.parametrize("name", STORIES)
def test_two_kinds_of_events_in_any_order_make_one_correct_gift(
    alice: University, name: str
) -> None:
    story, (status, refunded) = STORIES[name]
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    email = alice.email(spring, mailing_id=mailing, sent_at=SENT)
    token = alice.get(f"/v1/emails/{email}")["link_token"]
    chance = random.Random(1)
    orders = list(itertools.permutations(range(len(story))))
    orders = chance.sample(orders, min(6, len(orders)))
    for number, order in enumerate(orders):
        events = named(story, number, spring, token)
        for index in order:
            assert post_stripe_event(alice, events[index]).status == 202
            if chance.random() < 0.3:
                post_stripe_event(alice, chance.choice(events))
            if chance.random() < 0.3:
                sweep_due_records()
    made = gifts(alice)
    assert {gift["external_id"] for gift in made} == {
        f"{INTENT_ID}_{number}" for number in range(len(orders))
    }
    expected = (status, refunded, 2500, "USD")
    names = ("status", "refunded_amount", "amount", "currency")
    assert {tuple(gift[name] for name in names) for gift in made} == {expected}
    left = len(orders) * (2500 - refunded) if status == "succeeded" else 0
    money = {"USD": left} if left else {}
    user = alice.get(f"/v1/emails/{email}")["user_id"]
    assert alice.get(f"/v1/users/{user}")["donated"] == money
    for noun, id_ in (("emails", email), ("mailings", mailing), ("fundraisers", spring)):
        assert alice.get(f"/v1/{noun}/{id_}")["raised"] == money
    by_match = alice.report(spring)["donations"]["by_match"]
    assert by_match["link"]["raised"] == money


def test_parallel_deliveries_give_the_same_result(alice: University) -> None:
    spring = alice.fundraiser()
    story, _ = STORIES["a refund that failed"]
    events = [event for n in range(4) for event in named(story, n, spring, "")] * 3
    random.Random(2).shuffle(events)

    def act(event: Any) -> None:
        assert post_stripe_event(alice, event).status == 202
        sweep_due_records()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, events))
    made = gifts(alice)
    assert [(gift["status"], gift["refunded_amount"]) for gift in made] == [("succeeded", 1000)] * 4
    assert alice.report(spring)["donations"]["raised"] == {"USD": 6000}


def test_a_gift_from_a_client_and_from_stripe_is_one_gift(alice: University) -> None:
    spring = alice.fundraiser()
    events = named(STORIES["refunded in part"][0], 0, spring, "")
    body = {"fundraiser_id": spring, "amount": 2500, "currency": "USD"}
    body |= {
        "donor": {"name": "Bobby", "email": "bobby@example.edu"},
        "external_id": f"{INTENT_ID}_0",
    }

    def act(number: int) -> int:
        if number < len(events):
            return post_stripe_event(alice, events[number]).status
        sweep_due_records()
        return alice.call("POST", "/v1/donations", body).status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(act, range(2 * len(events))))
    assert set(statuses) <= {200, 201, 202}
    [gift] = gifts(alice)
    assert (gift["status"], gift["refunded_amount"]) == ("succeeded", 1000)


def test_a_clients_data_stays_and_stripe_updates_the_status(
    alice: University,
) -> None:
    spring = alice.fundraiser()
    donor = {"name": "Bobby", "email": "bobby@example.edu"}
    gift = alice.gift(spring, 2500, donor, external_id=INTENT_ID, donated_at=SENT)
    for event in (
        make_charge_event("succeeded"),
        make_charge_event("refunded", 5, amount_refunded=2500),
    ):
        post_stripe_event(alice, set_metadata(event, fundraiser_id=alice.fundraiser("Autumn")))
    [found] = gifts(alice)
    assert (found["id"], found["donor"], found["donated_at"]) == (gift, donor, SENT)
    assert (found["fundraiser_id"], found["status"]) == (spring, "refunded")
    alice.call("DELETE", f"/v1/donations/{gift}")
    post_stripe_event(alice, make_charge_event("refunded", 9, amount_refunded=100))
    assert gifts(alice) == []


def test_a_late_donor_rematches_the_gift(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    post_stripe_event(
        alice, set_metadata(make_intent_event("succeeded", "succeeded", 2), fundraiser_id=spring)
    )
    [gift] = gifts(alice)
    assert (gift["match"], gift["donor"]) == ("none", {"name": "Anonymous", "email": ""})
    post_stripe_event(alice, make_charge_event("succeeded", 1))
    [gift] = gifts(alice)
    assert (gift["match"], gift["email_id"], gift["donor"]) == ("address", email, BOB)


def test_a_gifts_time_can_arrive_later(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    named_it = {"fundraiser_id": spring, "email_id": email}
    post_stripe_event(
        alice, set_metadata(make_intent_event("succeeded", "succeeded", 2), **named_it)
    )
    gifts(alice)
    post_stripe_event(
        alice, set_metadata(make_charge_event("succeeded", 1, created=1_763_900_000), **named_it)
    )
    [gift] = gifts(alice)
    user = alice.get(f"/v1/users/{gift['user_id']}")
    assert user["last_donated_at"] == gift["donated_at"] == "2025-11-23T12:13:20Z"


def test_erasing_a_person_named_in_a_payments_id_keeps_one_gift(
    alice: University,
) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    for at in (1_763_800_000, 1_763_800_005):
        post(alice, "bob@example.edu-1", at, spring, email_id=email)
        [gift] = gifts(alice)
        alice.call("DELETE", f"/v1/users/{gift['user_id']}?erase=true")
        settle_all()
    assert "bob@example.edu" not in str(list(get_db().payments.find()))
    assert len(gifts(alice)) == 1


def test_a_clients_gift_does_not_become_pending_again(alice: University) -> None:
    spring = alice.fundraiser()
    alice.gift(spring, external_id=INTENT_ID)
    post_stripe_event(alice, make_intent_event("processing", "processing", 1))
    [gift] = gifts(alice)
    assert gift["status"] == "succeeded"


def test_each_anonymous_gift_counts_as_a_separate_donor(alice: University) -> None:
    spring = alice.fundraiser()
    for number in range(3):
        told = make_intent_event("succeeded", "succeeded", id=f"pi_{number}")
        post_stripe_event(alice, set_metadata(told, fundraiser_id=spring))
    assert len(gifts(alice)) == 3
    figures = alice.report(spring)["donations"]
    assert (figures["count"], figures["donors"]) == (3, 3)
    for gift in gifts(alice):
        path = f"/v1/donations/{gift['id']}"
        assert alice.call("PATCH", path, {"refunded_amount": 500}).status == 200
    gifts(alice)
    assert alice.report(spring)["donations"]["raised"] == {"USD": 6000}


@pytest.mark.parametrize(
    ("currency", "stripes", "raised"),
    [("JPY", 3000, 3000), ("KWD", 12340, 12340), ("ISK", 50000, 500)],
)
def test_amounts_with_zero_and_three_decimals_are_correct(
    alice: University, currency: str, stripes: int, raised: int
) -> None:
    spring = alice.fundraiser()
    money: dict[str, Any] = {
        "currency": currency.lower(),
        "amount": stripes,
        "amount_captured": stripes,
    }
    back = make_charge_event("refunded", 5, **money, amount_refunded=stripes // 10)
    for event in (make_charge_event("succeeded", **money), back):
        post_stripe_event(alice, set_metadata(event, fundraiser_id=spring))
    [gift] = gifts(alice)
    assert (gift["amount"], gift["currency"]) == (raised, currency)
    assert alice.report(spring)["donations"]["raised"] == {currency: raised - raised // 10}


def test_a_payment_without_a_known_fundraiser_waits_with_a_reason(
    alice: University, real_client: testing.TestClient
) -> None:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    spring, theirs = alice.fundraiser(), charlie.fundraiser()
    for metadata in ({}, {"fundraiser_id": "nonsense"}, {"fundraiser_id": theirs}):
        post_stripe_event(alice, set_metadata(make_charge_event("succeeded"), **metadata))
    assert gifts(alice) == []
    refused = [row["refused"] for row in get_db().deliveries.find()]
    reason = "The payment must name a fundraiser of this organization (metadata.fundraiser_id)."
    assert refused == [[{"index": 0, "reason": reason}]] * 3
    post_stripe_event(alice, set_metadata(make_charge_event("updated", 9), fundraiser_id=spring))
    [gift] = gifts(alice)
    assert gift["donor"] == BOB
    assert charlie.get("/v1/donations")["data"] == []


def test_an_invoice_waits_for_its_payment(alice: University) -> None:
    spring = alice.fundraiser()
    post_stripe_event(alice, set_metadata(make_invoice_event("paid", 3), fundraiser_id=spring))
    post_stripe_event(alice, make_invoice_event("upcoming", id=None))
    assert gifts(alice) == []
    post_stripe_event(alice, make_invoice_payment_event(3))
    [gift] = gifts(alice)
    assert (gift["external_id"], gift["recurring_id"]) == (INTENT_ID, "sub_1")
    post_stripe_event(
        alice,
        set_metadata(
            make_invoice_event("updated", 9, status="paid", amount_paid=2500), fundraiser_id=spring
        ),
    )
    post_stripe_event(alice, make_charge_event("succeeded", 1))
    assert len(gifts(alice)) == 1


@pytest.mark.parametrize("first", [0, 1])
def test_an_invoices_latest_state_wins_in_every_order(alice: University, first: int) -> None:
    spring = alice.fundraiser()
    told = [
        make_invoice_event("payment_failed", 1),
        make_invoice_event("paid", 5, payment_intent=INTENT_ID),
    ]
    for event in (told[first], told[1 - first], make_invoice_payment_event(5)):
        post_stripe_event(alice, set_metadata(event, fundraiser_id=spring))
        sweep_due_records()
    [gift] = gifts(alice)
    assert (gift["status"], gift["amount"]) == ("succeeded", 2500)


def test_unreadable_events_are_kept_and_block_nothing(alice: University) -> None:
    spring = alice.fundraiser()
    good = set_metadata(make_charge_event("succeeded"), fundraiser_id=spring)
    for body in ("", "null", "[1]", "{", '{"object": "event"}', "\ud83d", "[" * 5000, "NaN"):
        assert (
            post_stripe_event(alice, None, body=body.encode("utf-8", "replace").decode()).status
            == 202
        )
    post_stripe_event(alice, make_refund_event("refund.created", "re_9", -5, 1))
    post_stripe_event(alice, good)
    assert len(gifts(alice)) == 1
    rows = list(get_db().deliveries.find({}, {"refused": 1, "refused_events": 1}))
    assert sum(row["refused_events"] for row in rows) == 9
    assert all(row["refused"][0]["reason"] for row in rows if row["refused_events"])


def test_any_processor_may_post_the_state_of_a_gift_in_any_order(alice: University) -> None:
    spring = alice.fundraiser()
    email = alice.email(spring, sent_at=SENT)
    at = 1_763_800_000
    states: list[tuple[int, dict[str, Any]]] = [
        (at, {"status": "pending"}),
        (at + 5, {"status": "succeeded", "email_id": email}),
        (at + 6, {"refunded_amount": 500, "email_id": email}),
        (at + 9, {"status": "disputed", "refunded_amount": 500, "email_id": email}),
        (at + 12, {"refunded_amount": 700, "email_id": email, "recurring_id": "plan"}),
    ]
    for number, order in enumerate(itertools.permutations(states)):
        if number % 7 == 0:
            for when, state in (*order, order[0]):
                assert post(alice, f"gift-{number}", when, spring, **state).status == 202
                if number % 2:
                    sweep_due_records()
    made = gifts(alice)
    assert len(made) == 18
    expected = ("succeeded", 700, "link", email, "plan")
    names = ("status", "refunded_amount", "match", "email_id", "recurring_id")
    assert {tuple(gift[name] for name in names) for gift in made} == {expected}
    post(alice, "gift-0", at + 20, spring, status="refunded")
    post(alice, "gift-7", at + 20, spring, status="failed")
    assert alice.report(spring)["donations"]["count"] == 18
    gifts(alice)
    assert alice.report(spring)["donations"]["raised"] == {"USD": 16 * 1800}


@pytest.mark.parametrize(
    "more",
    [
        {"amount": 0},
        {"amount": "2500"},
        {"amount": 25.0},
        {"currency": "usd"},
        {"currency": "XXX"},
        {"status": "paid"},
        {"refunded_amount": 2501},
        {"external_id": ""},
        {"external_id": "a b"},
        {"donated_at": "yesterday"},
        {"donated_at": "2025-11-20T00:00:00"},
        {"surprise": 1},
        {"donor": {"name": "x\x00y"}},
        {"fundraiser_id": "f" * 24},
    ],
)
def test_an_unusable_post_reports_its_reason_and_repeats_nothing(
    alice: University, more: dict[str, Any]
) -> None:
    spring = alice.fundraiser()
    gift = {"external_id": "gift", "fundraiser": spring, **more}
    answer = post(alice, gift.pop("external_id"), 1_763_800_000, gift.pop("fundraiser"), **gift)
    assert answer.status == 202
    assert gifts(alice) == []
    row = get_db().deliveries.find_one()
    assert row
    [reason] = [one["reason"] for one in row["refused"]]
    assert reason
    assert "x\x00y" not in reason
