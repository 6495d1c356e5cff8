"""Events follow from two states of a record: one event for each difference, none without."""

from typing import Any

from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from documents.outgoing.rules import GiftState, list_email_states, list_gift_events

EMAILS = [ObjectId(), ObjectId()]
MATCHES = ["link", "address", "pinned"]

refunds = st.integers(0, 3)
matched = st.tuples(st.sampled_from(MATCHES), st.sampled_from(EMAILS), refunds, st.just(False))
without_email = st.tuples(st.sampled_from(["none", "pinned"]), st.none(), refunds, st.just(False))
without_match = st.tuples(st.none(), st.none(), refunds, st.booleans())
states = st.one_of(matched, without_email, without_match).map(lambda one: GiftState(*one))


@given(states)
def test_the_same_state_is_no_event(state: GiftState) -> None:
    assert list_gift_events(state, state) == []


@given(states, states)
def test_each_difference_is_an_event_of_its_kind(before: GiftState, after: GiftState) -> None:
    events = list_gift_events(before, after)
    assert ("donation.refunded" in events) == (before.refunded != after.refunded)
    others = [one for one in events if one != "donation.refunded"]
    is_moved = before._replace(refunded=0) != after._replace(refunded=0)
    assert len(others) == int(is_moved)
    if is_moved and after.email_id is None:
        assert others == ["donation.unmatched"]
    elif is_moved:
        was_matched = before.email_id is not None
        assert others == ["donation.rematched" if was_matched else "donation.matched"]


@given(states, st.integers(1, 99))
def test_the_stored_form_keeps_the_state(state: GiftState, version: int) -> None:
    row: Any = {"outgoing": state.to_stored(version)}
    assert GiftState.known(row) == state


@given(
    st.sampled_from(["pending", "succeeded", "failed", "refunded", "disputed"]),
    st.booleans(),
    st.integers(0, 3),
)
def test_a_gift_without_money_or_record_has_no_match(
    status: str, is_deleted: bool, refunded: int
) -> None:
    row: Any = {"status": status, "match": "link", "email_id": EMAILS[0]}
    row |= {"refunded_amount": refunded, "deleted_at": object() if is_deleted else None}
    state = GiftState.of(row)
    has_match = not is_deleted and status in ("succeeded", "refunded", "disputed")
    assert state == (
        *(("link", EMAILS[0]) if has_match else (None, None)),
        refunded,
        is_deleted,
    )


def test_a_person_who_rejoined_a_group_is_not_unsubscribed() -> None:
    email: Any = {"bounced_at": 1, "left": {"news": 1}}
    assert list_email_states(email) == ["email.bounced", "email.unsubscribed"]
    assert list_email_states(email | {"back": {"news": 2}}) == ["email.bounced"]
    assert list_email_states(email | {"deleted_at": 3}) == []
