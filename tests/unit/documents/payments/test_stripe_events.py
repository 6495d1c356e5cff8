"""Facts about a gift from Stripe's events, in any order. Pure."""

import itertools
import random
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.payments.facts_without_person import without_person
from documents.payments.rules import Facts, State, merge, oddities, state_of
from documents.payments.stripe.facts import link_of, read
from documents.values.stripe_values import amount
from tests.unit.documents.payments.stripe_captures import of_one_version
from tools.testbed.cast import BOB
from tools.testbed.stripe_events import (
    AT,
    CHARGE,
    INTENT,
    INVOICE,
    charge,
    intent,
    invoice,
    ours,
    session,
    stories,
)

STORIES = stories()


def facts_of(events: list[Any]) -> Facts:
    """Return all facts about the one gift, as payments.py enters them."""
    facts: Facts = {}
    for event in events:
        for told in read(event).values():
            facts = merge(facts, told)
    return facts


def state(*events: Any) -> State:
    found = state_of(facts_of(list(events)))
    assert found is not None
    return found


@pytest.mark.parametrize("name", STORIES)
def test_every_order_with_repetitions_gives_the_same_result(name: str) -> None:
    events, expected = STORIES[name]
    chance = random.Random(1)
    states = set()
    for order in itertools.permutations(events):
        again = chance.choices(events, k=3)
        states.add(state(*order, *again))
        states.add(state(*again, *order))
    assert len(states) == 1, states
    found = states.pop()
    assert (found.status, found.refunded_amount) == expected
    assert (found.amount, found.currency) == (2500, "USD")


@pytest.mark.parametrize("name", STORIES)
def test_merging_is_independent_of_order(name: str) -> None:
    """Merging is commutative, associative and idempotent, so any process may merge facts."""
    events, _ = STORIES[name]
    one, two, three = (facts_of(part) for part in (events[:1], events[1:2], events[2:]))
    assert merge(one, two) == merge(two, one)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(merge(one, two), two) == merge(one, two)


def test_events_about_one_gift_share_one_key() -> None:
    for events, _ in STORIES.values():
        keys = {key for event in events for key in read(event)} - {INVOICE}
        assert keys <= {INTENT}
    assert set(read(charge("succeeded", payment_intent=None))) == {CHARGE}
    assert set(read(charge("succeeded", payment_intent={"id": INTENT}))) == {INTENT}


@pytest.mark.parametrize(
    "more",
    [
        {"payment_intent": INTENT},
        {"charge": INTENT},
        {"payments": {"data": [{"payment": {"payment_intent": INTENT}}]}},
    ],
)
def test_an_invoice_names_its_payment_in_several_ways(more: dict[str, Any]) -> None:
    paid = invoice("paid", **more)
    assert set(read(paid)) == {INTENT}
    assert link_of(paid) == (INVOICE, INTENT)
    assert link_of(invoice("paid")) is None
    assert read(invoice("paid", paid_out_of_band=True)) == {}


def test_a_payment_that_has_not_begun_is_not_a_gift() -> None:
    assert state_of(facts_of([intent("created", "requires_payment_method")])) is None
    assert state_of(facts_of([invoice("finalized", attempted=False)])) is None
    assert state_of({}) is None


def test_donor_and_purpose_are_read_from_every_source() -> None:
    bare = state(intent("succeeded", "succeeded"))
    assert (bare.donor_name, bare.donor_email, bare.fundraiser_id) == ("Anonymous", "", None)
    told = state(
        ours(intent("succeeded", "succeeded"), fundraiser_id="f", email_id="e"),
        charge("succeeded", receipt_email="receipts@example.edu"),
        invoice("paid", payment_intent=INTENT),
    )
    assert (told.fundraiser_id, told.email_ref, told.recurring_id) == ("f", "e", "sub_1")
    assert (told.donor_name, told.donor_email) == (BOB["name"], "receipts@example.edu")
    assert told.donated_at == AT + 1
    nobody = state_of(without_person(facts_of([charge("succeeded")]), ObjectId(), ()))
    assert nobody
    assert (nobody.donor_name, nobody.donor_email) == ("Anonymous", "")


@pytest.mark.parametrize(
    ("stripes", "currency", "ours_"),
    [
        (2500, "USD", 2500),
        (500, "JPY", 500),  # no minor unit
        (5120, "KWD", 5120),  # three decimals
        (500, "ISK", 5),  # hundredths for Stripe, no minor unit in ISO 4217
        (4010, "ISK", 40),
        (5000, "UGX", 50),
        (7, "MGA", 700),  # no minor unit for Stripe, hundredths in ISO 4217
    ],
)
def test_amounts_are_minor_units_of_iso_4217(stripes: int, currency: str, ours_: int) -> None:
    assert amount(stripes, currency) == ours_
    found = state(
        charge("succeeded", amount=stripes, amount_captured=stripes, currency=currency.lower())
    )
    assert (found.amount, found.currency) == (ours_, currency)


def test_a_partly_captured_charge_counts_the_captured_part() -> None:
    held = charge("succeeded", captured=False, amount_captured=0)
    assert state(held).status == "pending"
    # Stripe includes the uncaptured amount in amount_refunded.
    found = state(held, charge("captured", 5, amount_captured=1500, amount_refunded=1000))
    assert (found.status, found.amount, found.refunded_amount) == ("succeeded", 1500, 0)
    back = charge("refunded", 7, amount_captured=1500, amount_refunded=1200)
    assert state(held, back).refunded_amount == 200


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        {},
        {"object": "event"},
        {"object": "event", "type": "x", "created": AT, "data": {}},
        {"object": "event", "type": "x", "created": "now", "data": {"object": {}}},
        charge("succeeded", id=None, payment_intent=None),
        charge("succeeded", amount="2500", amount_captured=None),
        charge("succeeded", amount=None),
        charge("succeeded", amount_captured=10**13),
        charge("succeeded", currency="XXX"),
        charge("succeeded", currency=5),
        charge("succeeded", id="a.b$c"),
    ],
)
def test_an_unreadable_event_has_a_reason(event: Any) -> None:
    with pytest.raises(Unusable, match=r"\w+ \w+"):
        read(event)


def test_unrelated_events_give_no_facts() -> None:
    customer = {"object": "customer", "id": "cus_1"}
    event = {
        "object": "event",
        "type": "customer.created",
        "created": AT,
        "data": {"object": customer},
    }
    assert read(event) == {}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)
things = st.sampled_from(
    [
        event["data"]["object"]
        for events in (
            *(events for events, _ in STORIES.values()),
            *(events for events, _ in of_one_version().values()),
            [session("completed", 4), session("completed", 4, subscription="sub_1")],
        )
        for event in events
    ]
)


@given(things, st.dictionaries(st.integers(0, 20), values, max_size=3))
def test_any_event_content_gives_facts_or_a_reason(
    thing: dict[str, Any], changes: dict[int, Any]
) -> None:
    names = sorted(thing)
    changed = thing | {names[index % len(names)]: value for index, value in changes.items()}
    event = {"object": "event", "type": "x.y", "created": AT, "data": {"object": changed}}
    try:
        told = read(event)
        link_of(event)
    except Unusable:
        return
    for facts in told.values():
        state_of(facts)
        oddities(facts)
        assert merge(facts, facts) == facts
