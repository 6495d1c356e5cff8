"""Released amounts are not refunds, in every order of each story, with repetitions. Pure."""

import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.payments.rules import GiftState, decide_gift_state, merge_facts
from tests.unit.documents.payments.stripe_captures import (
    captured,
    of_one_version,
    of_two_versions,
    release,
)
from tests.unit.documents.payments.test_stripe_events import facts_of
from tools.testbed.stripe_events import (
    BASIL_API_VERSION,
    INTENT_ID,
    OLDER_API_VERSION,
    make_charge_event,
    make_intent_event,
    make_refund_event,
    set_api_version,
    set_metadata,
)

STORIES = of_one_version() | of_two_versions()


def ending(state: GiftState | None) -> tuple[str, int, int]:
    assert state is not None
    return state.status, state.amount, state.refunded_amount


@pytest.mark.parametrize("name", STORIES)
def test_every_order_with_repetitions_gives_the_same_result(name: str) -> None:
    events, expected = STORIES[name]
    chance = random.Random(1)
    endings = set()
    for order in itertools.permutations(events):
        again = chance.choices(events, k=3)
        endings.add(ending(decide_gift_state(facts_of([*order, *again]))))
        endings.add(ending(decide_gift_state(facts_of([*again, *order]))))
    assert endings == {expected}


@pytest.mark.parametrize("name", of_one_version())
def test_a_platforms_metadata_on_every_object_changes_nothing(name: str) -> None:
    """Some platforms put the same metadata on each object that they create."""
    events, expected = STORIES[name]
    told = [set_metadata(event, fundraiser_id="f", email_id="e") for event in events]
    for order in itertools.islice(itertools.permutations(told), 24):
        assert ending(decide_gift_state(facts_of(list(order)))) == expected


@pytest.mark.parametrize("name", STORIES)
def test_merging_evidence_is_independent_of_order(name: str) -> None:
    facts = [facts_of([event]) for event in STORIES[name][0]]
    for one, two, three in itertools.product(facts, repeat=3):
        assert merge_facts(one, two) == merge_facts(two, one)
        assert merge_facts(merge_facts(one, two), three) == merge_facts(
            one, merge_facts(two, three)
        )
        assert merge_facts(one, one) == one


@pytest.mark.parametrize(
    ("version", "expected"),
    [(BASIL_API_VERSION, 4000), ("2026-10-28.endive", 4000), (OLDER_API_VERSION, 0), (None, 0)],
)
def test_without_evidence_the_endpoints_version_decides(version: str | None, expected: int) -> None:
    event = set_api_version(version, captured("refunded", 90, 10_000, 6000, 4000))
    found = decide_gift_state(facts_of([event]))
    assert found
    assert found.refunded_amount == expected


def test_a_pending_refund_converges_when_the_evidence_arrives() -> None:
    """Between a refund and its charge, a gift may be incorrect for a moment, but not longer."""
    told = [
        set_api_version(OLDER_API_VERSION, event)
        for event in (
            release(4000, 3),
            make_intent_event("succeeded", "succeeded", 3, amount=10_000, amount_received=6000),
            captured("captured", 3, 10_000, 6000, 4000),
            captured("refunded", 90, 10_000, 6000, 4800),
            make_refund_event("refund.created", "re_1", 800, 90),
        )
    ]
    found = [decide_gift_state(facts_of(told[:number])) for number in range(2, 6)]
    assert [ending(one)[2] for one in found] == [0, 0, 800, 800]


AMOUNTS = st.integers(0, 12_000)
EVENTS = st.one_of(
    st.builds(
        lambda type_, at, whole, part, back, final, flag, version: set_api_version(
            version,
            captured(type_, at, whole or 1, part, back, captured=final, refunded=flag),
        ),
        st.sampled_from(["captured", "refunded", "updated", "succeeded"]),
        st.integers(1, 50),
        AMOUNTS,
        AMOUNTS,
        AMOUNTS,
        st.booleans(),
        st.booleans(),
        st.sampled_from([BASIL_API_VERSION, OLDER_API_VERSION, None]),
    ),
    st.builds(
        lambda id_, amount, at, status, reason, version: set_api_version(
            version, make_refund_event("refund.updated", id_, amount, at, status, reason=reason)
        ),
        st.sampled_from(["re_1", "re_2"]),
        AMOUNTS,
        st.integers(1, 50),
        st.sampled_from(["succeeded", "pending", "failed", "canceled"]),
        st.sampled_from([None, "duplicate", "expired_uncaptured_charge", 5, ["x"]]),
        st.sampled_from([BASIL_API_VERSION, OLDER_API_VERSION, None]),
    ),
    st.builds(
        lambda status, at, whole, part: make_intent_event(
            "updated", status, at, amount=whole, amount_received=part
        ),
        st.sampled_from(["succeeded", "requires_capture", "canceled", "processing"]),
        st.integers(1, 50),
        AMOUNTS,
        AMOUNTS,
    ),
)


@given(st.lists(EVENTS, min_size=1, max_size=7), st.randoms())
def test_any_events_in_any_order_give_one_valid_state(
    events: list[Any], chance: random.Random
) -> None:
    found = decide_gift_state(facts_of(events))
    shuffled = [*events, *chance.choices(events, k=2)]
    chance.shuffle(shuffled)
    assert decide_gift_state(facts_of(shuffled)) == found
    if found is not None:
        assert 0 <= found.refunded_amount <= found.amount
        assert (found.status == "refunded") <= (found.refunded_amount == found.amount)


def test_a_charge_without_an_intent_gives_the_same_result() -> None:
    told = make_charge_event(
        "refunded", 9, amount=10_000, amount_captured=4000, amount_refunded=4000
    )
    told["data"]["object"]["payment_intent"] = None
    found = decide_gift_state(facts_of([set_api_version(BASIL_API_VERSION, told)]))
    assert ending(found) == ("refunded", 4000, 4000)
    assert INTENT_ID not in facts_of([told])
