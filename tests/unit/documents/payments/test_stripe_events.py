"""Facts about a gift from Stripe's events, in any order. Pure."""

import itertools
import random
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.payments.facts_without_person import remove_person
from documents.payments.rules import (
    GiftState,
    PaymentFacts,
    decide_gift_state,
    find_odd_facts,
    merge_facts,
)
from documents.payments.stripe.facts import find_invoice_link, read_facts
from documents.values.stripe_values import convert_amount
from tests.unit.documents.payments.stripe_captures import of_one_version
from tools.testbed.cast import BOB
from tools.testbed.stripe_events import (
    CHARGE_ID,
    FIRST_EVENT_AT,
    INTENT_ID,
    INVOICE_ID,
    list_payment_stories,
    make_charge_event,
    make_intent_event,
    make_invoice_event,
    make_session_event,
    set_metadata,
)

STORIES = list_payment_stories()


def facts_of(events: list[Any]) -> PaymentFacts:
    """Return all facts about the one gift, as payments.py enters them."""
    facts: PaymentFacts = {}
    for event in events:
        for told in read_facts(event).values():
            facts = merge_facts(facts, told)
    return facts


def state(*events: Any) -> GiftState:
    found = decide_gift_state(facts_of(list(events)))
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
    assert merge_facts(one, two) == merge_facts(two, one)
    assert merge_facts(merge_facts(one, two), three) == merge_facts(one, merge_facts(two, three))
    assert merge_facts(merge_facts(one, two), two) == merge_facts(one, two)


def test_events_about_one_gift_share_one_key() -> None:
    for events, _ in STORIES.values():
        keys = {key for event in events for key in read_facts(event)} - {INVOICE_ID}
        assert keys <= {INTENT_ID}
    assert set(read_facts(make_charge_event("succeeded", payment_intent=None))) == {CHARGE_ID}
    assert set(read_facts(make_charge_event("succeeded", payment_intent={"id": INTENT_ID}))) == {
        INTENT_ID
    }


@pytest.mark.parametrize(
    "more",
    [
        {"payment_intent": INTENT_ID},
        {"charge": INTENT_ID},
        {"payments": {"data": [{"payment": {"payment_intent": INTENT_ID}}]}},
    ],
)
def test_an_invoice_names_its_payment_in_several_ways(more: dict[str, Any]) -> None:
    paid = make_invoice_event("paid", **more)
    assert set(read_facts(paid)) == {INTENT_ID}
    assert find_invoice_link(paid) == (INVOICE_ID, INTENT_ID)
    assert find_invoice_link(make_invoice_event("paid")) is None
    assert read_facts(make_invoice_event("paid", paid_out_of_band=True)) == {}


def test_a_payment_that_has_not_begun_is_not_a_gift() -> None:
    assert (
        decide_gift_state(facts_of([make_intent_event("created", "requires_payment_method")]))
        is None
    )
    assert decide_gift_state(facts_of([make_invoice_event("finalized", attempted=False)])) is None
    assert decide_gift_state({}) is None


def test_donor_and_purpose_are_read_from_every_source() -> None:
    bare = state(make_intent_event("succeeded", "succeeded"))
    assert (bare.donor_name, bare.donor_email, bare.fundraiser_id) == ("Anonymous", "", None)
    told = state(
        set_metadata(make_intent_event("succeeded", "succeeded"), fundraiser_id="f", email_id="e"),
        make_charge_event("succeeded", receipt_email="receipts@example.edu"),
        make_invoice_event("paid", payment_intent=INTENT_ID),
    )
    assert (told.fundraiser_id, told.email_ref, told.recurring_id) == ("f", "e", "sub_1")
    assert (told.donor_name, told.donor_email) == (BOB["name"], "receipts@example.edu")
    assert told.donated_at == FIRST_EVENT_AT + 1
    nobody = decide_gift_state(
        remove_person(facts_of([make_charge_event("succeeded")]), ObjectId(), ())
    )
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
    assert convert_amount(stripes, currency) == ours_
    found = state(
        make_charge_event(
            "succeeded", amount=stripes, amount_captured=stripes, currency=currency.lower()
        )
    )
    assert (found.amount, found.currency) == (ours_, currency)


def test_a_partly_captured_charge_counts_the_captured_part() -> None:
    held = make_charge_event("succeeded", captured=False, amount_captured=0)
    assert state(held).status == "pending"
    # Stripe includes the uncaptured amount in amount_refunded.
    found = state(
        held, make_charge_event("captured", 5, amount_captured=1500, amount_refunded=1000)
    )
    assert (found.status, found.amount, found.refunded_amount) == ("succeeded", 1500, 0)
    back = make_charge_event("refunded", 7, amount_captured=1500, amount_refunded=1200)
    assert state(held, back).refunded_amount == 200


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        {},
        {"object": "event"},
        {"object": "event", "type": "x", "created": FIRST_EVENT_AT, "data": {}},
        {"object": "event", "type": "x", "created": "now", "data": {"object": {}}},
        make_charge_event("succeeded", id=None, payment_intent=None),
        make_charge_event("succeeded", amount="2500", amount_captured=None),
        make_charge_event("succeeded", amount=None),
        make_charge_event("succeeded", amount_captured=10**13),
        make_charge_event("succeeded", currency="XXX"),
        make_charge_event("succeeded", currency=5),
        make_charge_event("succeeded", id="a.b$c"),
    ],
)
def test_an_unreadable_event_has_a_reason(event: Any) -> None:
    with pytest.raises(Unusable, match=r"\w+ \w+"):
        read_facts(event)


def test_unrelated_events_give_no_facts() -> None:
    customer = {"object": "customer", "id": "cus_1"}
    event = {
        "object": "event",
        "type": "customer.created",
        "created": FIRST_EVENT_AT,
        "data": {"object": customer},
    }
    assert read_facts(event) == {}


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
            [
                make_session_event("completed", 4),
                make_session_event("completed", 4, subscription="sub_1"),
            ],
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
    event = {
        "object": "event",
        "type": "x.y",
        "created": FIRST_EVENT_AT,
        "data": {"object": changed},
    }
    try:
        told = read_facts(event)
        find_invoice_link(event)
    except Unusable:
        return
    for facts in told.values():
        decide_gift_state(facts)
        find_odd_facts(facts)
        assert merge_facts(facts, facts) == facts
