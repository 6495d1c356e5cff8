"""Matching, the pure decision."""

from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from documents.matching import Candidate, Gift, email_id_of, match

SPRING, AUTUMN = ObjectId(), ObjectId()
BOB = ObjectId()
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WINDOW = timedelta(days=30)


def email(hours_before: float = 1, fundraiser_id: ObjectId = SPRING) -> Candidate:
    sent_at = NOON - timedelta(hours=hours_before)
    return Candidate(ObjectId(), fundraiser_id, ObjectId(), BOB, sent_at)


GIFT = Gift(SPRING, None, NOON)


def test_a_gift_that_names_its_email_is_direct() -> None:
    named, other = email(), email()
    decision = match(GIFT, named, [other], WINDOW)
    assert (decision.match, decision.rule, decision.email) == ("direct", "email_id", named)


def test_a_direct_match_knows_no_window() -> None:
    named = email(hours_before=24 * 365)
    assert match(GIFT, named, [], WINDOW).match == "direct"


def test_an_email_of_another_fundraiser_does_not_count() -> None:
    named = email(fundraiser_id=AUTUMN)
    decision = match(GIFT, named, [], WINDOW)
    assert decision.match == "unresolved"
    assert decision.considered == ((named.id, "named by the gift, but of another fundraiser"),)


def test_without_a_name_the_latest_email_before_the_gift_wins() -> None:
    old, latest, later = email(5), email(2), email(-1)
    decision = match(GIFT, None, [old, latest, later], WINDOW)
    assert (decision.match, decision.email) == ("indirect", latest)
    assert dict(decision.considered)[later.id] == "sent after the gift"
    assert dict(decision.considered)[old.id] == "sent earlier"


def test_an_email_not_sent_yet_cannot_have_led_to_a_gift() -> None:
    unsent = Candidate(ObjectId(), SPRING, None, BOB, None)
    assert match(GIFT, None, [unsent], WINDOW).match == "unresolved"


@pytest.mark.parametrize(
    ("hours", "expected"), [(0, "indirect"), (24 * 30, "indirect"), (24 * 30 + 1, "unresolved")]
)
def test_the_window_includes_both_its_ends(hours: float, expected: str) -> None:
    assert match(GIFT, None, [email(hours)], WINDOW).match == expected


def test_a_stranger_is_unresolved() -> None:
    assert match(GIFT, None, [], WINDOW).match == "unresolved"


@given(st.lists(st.floats(-1000, 1000)), st.randoms())
def test_the_order_of_candidates_does_not_matter(hours: list[float], random: object) -> None:
    emails = [email(hour) for hour in hours]
    shuffled = random.sample(emails, len(emails))  # type: ignore[attr-defined]
    assert match(GIFT, None, emails, WINDOW).email == match(GIFT, None, shuffled, WINDOW).email


@given(st.lists(st.floats(-1000, 1000)))
def test_what_is_matched_was_sent_before_and_within_the_window(hours: list[float]) -> None:
    chosen = match(GIFT, None, [email(hour) for hour in hours], WINDOW).email
    if chosen is not None:
        assert chosen.sent_at is not None
        assert NOON - WINDOW <= chosen.sent_at <= NOON


@pytest.mark.parametrize(
    "garbage", [None, "", "   ", "utm_source=x", "0" * 23, "0" * 25, "g" * 24, "é" * 24, "\0"]
)
def test_garbage_names_no_email(garbage: str | None) -> None:
    assert email_id_of(garbage) is None


def test_an_id_may_have_space_around_it() -> None:
    id_ = ObjectId()
    assert email_id_of(f" {id_}\n") == id_
