"""Matching: the pure decision."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from documents.giving_links.references import parse_email_id
from documents.matching.fitting import Candidate, MatchedGift
from documents.matching.policy import TOUCH_PREFERENCE, MatchPolicy
from documents.matching.rules import Decision, MatchEvidence, Pin, match_gift

SPRING, AUTUMN = ObjectId(), ObjectId()
BOB = ObjectId()
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = MatchPolicy()
GIFT = MatchedGift(SPRING, NOON)


def before(hours: float) -> datetime:
    return NOON - timedelta(hours=hours)


def email(hours_before: float = 1, fundraiser_id: ObjectId = SPRING, **more: Any) -> Candidate:
    return Candidate(ObjectId(), fundraiser_id, ObjectId(), BOB, before(hours_before), **more)


def decided(*donors: Candidate, policy: MatchPolicy = POLICY, **evidence: Any) -> Decision:
    return match_gift(GIFT, MatchEvidence(donors=donors, **evidence), policy)


def test_a_gift_that_names_its_email_is_direct() -> None:
    named, other = email(), email()
    for how in ("link_token", "email_id"):
        decision = decided(other, named=named, named_by=how)
        assert (decision.match, decision.rule, decision.email) == ("link", how, named)


def test_a_direct_match_has_no_window() -> None:
    assert decided(named=email(hours_before=24 * 365)).match == "link"


def test_an_email_of_another_fundraiser_is_noted_and_the_address_decides() -> None:
    named, latest = email(fundraiser_id=AUTUMN), email(5)
    decision = decided(latest, named=named)
    assert (decision.match, decision.email) == ("address", latest)
    assert dict(decision.considered)[named.id] == "named by the gift, but of another fundraiser"
    assert decided(named=named).match == "none"


def test_a_policy_can_match_an_email_of_another_fundraiser() -> None:
    named = email(fundraiser_id=AUTUMN)
    policy = replace(POLICY, other_fundraiser="match")
    decision = decided(email(), named=named, policy=policy)
    assert (decision.match, decision.rule, decision.email) == ("link", "other_fundraiser", named)


def test_without_a_reference_the_latest_email_before_the_gift_wins() -> None:
    old, latest, later = email(5), email(2), email(-1)
    decision = decided(old, latest, later)
    assert (decision.match, decision.email, decision.touch) == ("address", latest, "sent")
    assert dict(decision.considered)[later.id] == "sent after the gift"
    assert dict(decision.considered)[old.id] == "sent earlier"


def test_clicked_emails_win_over_opened_ones_and_those_over_sent_ones() -> None:
    clicked = email(9, first_clicked_at=before(8))
    opened, sent = email(5, first_opened_at=before(4)), email(2)
    decision = decided(sent, opened, clicked)
    assert (decision.email, decision.touch) == (clicked, "clicked")
    assert dict(decision.considered)[sent.id] == "only sent, and another was clicked"
    assert decided(sent, opened).email == opened


def test_events_after_the_gift_do_not_count() -> None:
    clicked_later = email(9, first_clicked_at=before(-1), first_opened_at=before(-1))
    latest = email(2)
    assert decided(clicked_later, latest).email == latest


def test_a_click_implies_an_open() -> None:
    clicked, sent = email(9, first_clicked_at=before(8)), email(2)
    policy = replace(POLICY, prefer=("opened", "sent"))
    assert decided(clicked, sent, policy=policy).email == clicked


def test_a_policy_can_prefer_the_first_touch_or_another_order() -> None:
    first, clicked = email(9), email(5, first_clicked_at=before(4))
    only_first = replace(POLICY, prefer=("sent",), touch="first")
    assert decided(first, clicked, policy=only_first).email == first
    policy = replace(POLICY, prefer=("sent", "clicked"), touch="first")
    assert decided(first, clicked, policy=policy).email == first


def test_engagement_missing_from_the_policy_does_not_match() -> None:
    sent = email(2)
    decision = decided(sent, policy=replace(POLICY, prefer=("clicked", "opened")))
    assert decision.match == "none"
    assert dict(decision.considered)[sent.id] == "not clicked nor opened"


def test_an_email_not_sent_yet_cannot_have_led_to_a_gift() -> None:
    unsent = Candidate(ObjectId(), SPRING, None, BOB, None)
    assert decided(unsent).match == "none"


@pytest.mark.parametrize(
    ("hours", "expected"), [(0, "address"), (24 * 30, "address"), (24 * 30 + 1, "none")]
)
def test_the_window_includes_both_ends(hours: float, expected: str) -> None:
    assert decided(email(hours)).match == expected


@pytest.mark.parametrize("hours", [1, -1])
def test_a_bounced_email_loses_against_one_that_was_delivered(hours: float) -> None:
    """The report of the bounce can be later than the gift, but the donor had no email before."""
    delivered = email(9, delivered_at=before(9))
    bounced = email(2, delivered_at=before(2), bounced_at=before(hours))
    decision = decided(delivered, bounced)
    assert (decision.match, decision.email) == ("address", delivered)
    assert dict(decision.considered)[bounced.id] == "bounced"
    assert decided(email(9), bounced).email is not None


def test_a_bounced_email_alone_matches_nothing() -> None:
    bounced = email(2, bounced_at=before(1))
    decision = decided(bounced)
    assert (decision.match, decision.considered) == ("none", ((bounced.id, "bounced"),))
    only_clicks = replace(POLICY, prefer=("clicked",))
    assert dict(decided(bounced, policy=only_clicks).considered)[bounced.id] == "bounced"


def test_an_email_delivered_after_its_bounce_arrived() -> None:
    delivered = email(9, bounced_at=before(8), delivered_at=before(7))
    assert decided(delivered).email == delivered
    at_once = email(9, bounced_at=before(8), delivered_at=before(8))
    assert decided(at_once).match == "none"  # both times are in whole seconds


def test_a_dropped_email_matches_nothing_unless_it_was_delivered() -> None:
    dropped = email(2, dropped_at=before(2))
    assert dict(decided(dropped).considered)[dropped.id] == "dropped"
    assert decided(dropped).match == "none"
    assert decided(replace(dropped, delivered_at=before(3))).match == "address"


@pytest.mark.parametrize("name", ["first_opened_at", "first_clicked_at"])
def test_a_persons_open_or_click_shows_that_a_bounced_email_arrived(name: str) -> None:
    clicked_or_opened: dict[str, Any] = {name: before(7)}
    touched = email(9, bounced_at=before(8), **clicked_or_opened)
    decision = decided(email(2), touched)
    assert (decision.email, decision.match) == (touched, "address")
    # After the gift, it does not count as a touch. But the email had arrived.
    clicked_or_opened[name] = before(-1)
    later = email(1, bounced_at=before(0.5), **clicked_or_opened)
    assert (decided(email(2), later).email, decided(later).touch) == (later, "sent")


def test_a_link_or_a_pin_names_even_a_bounced_email() -> None:
    bounced = email(2, bounced_at=before(1))
    assert decided(email(1), named=bounced).email == bounced
    assert decided(email(1), pin=Pin(bounced)).email == bounced


def test_a_stranger_has_no_email() -> None:
    assert decided() == Decision("none", "none")


def test_a_pin_takes_precedence_over_everything() -> None:
    pinned, named = email(fundraiser_id=AUTUMN), email()
    decision = decided(email(), named=named, pin=Pin(pinned), first=Decision("none", "none"))
    assert (decision.match, decision.rule, decision.email) == ("pinned", "pin", pinned)
    nothing = decided(email(), named=named, pin=Pin(None))
    assert (nothing.match, nothing.rule, nothing.email) == ("none", "pin", None)


def test_without_the_pinned_email_the_rules_decide_with_a_note() -> None:
    named = email()
    decision = decided(named=named, pin=Pin(None, is_gone=True))
    assert (decision.rule, decision.email) == ("email_id", named)
    assert decision.note == "The email that staff had pinned was deleted."


def test_a_later_instalment_follows_the_match_of_the_first() -> None:
    first = decided(email(100))
    decision = decided(email(2), first=first)
    assert (decision.match, decision.rule) == ("address", "recurring")
    assert decision.email == first.email
    assert decided(email(2), first=Decision("none", "none")).match == "none"


hours = st.one_of(st.none(), st.floats(-1000, 1000))
candidates = st.builds(
    lambda sent, opened, clicked, bounced, here: replace(
        email(fundraiser_id=SPRING if here else AUTUMN),
        sent_at=None if sent is None else before(sent),
        first_opened_at=None if opened is None else before(opened),
        first_clicked_at=None if clicked is None else before(clicked),
        bounced_at=None if bounced is None else before(bounced),
    ),
    *(hours, hours, hours, hours, st.booleans()),
)
policies = st.builds(
    MatchPolicy,
    window=st.integers(1, 1000).map(lambda hours: timedelta(hours=hours)),
    prefer=st.permutations(TOUCH_PREFERENCE).flatmap(
        lambda order: st.integers(1, 3).map(lambda number: tuple(order[:number]))
    ),
    touch=st.sampled_from(["first", "last"]),
    other_fundraiser=st.sampled_from(["note", "match"]),
)


@given(st.lists(candidates), st.randoms(), policies)
def test_the_order_of_candidates_does_not_matter(
    emails: list[Candidate], random: Any, policy: MatchPolicy
) -> None:
    shuffled = random.sample(emails, len(emails))
    assert decided(*emails, policy=policy) == decided(*shuffled, policy=policy)


@given(st.lists(candidates), policies)
def test_a_match_by_address_was_sent_before_the_gift_within_the_window(
    emails: list[Candidate], policy: MatchPolicy
) -> None:
    decision = decided(*emails, policy=policy)
    if decision.email is not None:
        assert decision.email.sent_at is not None
        assert NOON - policy.window <= decision.email.sent_at <= NOON
        assert decision.email.fundraiser_id == SPRING
        assert decision.touch in policy.prefer


@given(st.lists(candidates), policies)
def test_losing_emails_make_no_difference(emails: list[Candidate], policy: MatchPolicy) -> None:
    """So a change to a losing email requires no new decision, unless the email now wins."""
    best = decided(*emails, policy=policy).email
    for left_out in emails:
        if best is None or left_out.id != best.id:
            fewer = [one for one in emails if one is not left_out]
            assert decided(*fewer, policy=policy).email == best


@given(st.lists(candidates), candidates, policies)
def test_a_better_touch_never_makes_an_email_lose(
    emails: list[Candidate], chosen: Candidate, policy: MatchPolicy
) -> None:
    if (
        decided(*emails, chosen, policy=policy).email == chosen
        and policy.prefer == TOUCH_PREFERENCE
    ):
        clicked = replace(chosen, first_clicked_at=chosen.sent_at)
        assert decided(*emails, clicked, policy=policy).email == clicked


@given(st.lists(candidates), candidates, policies)
def test_every_email_is_listed_with_a_reason(
    emails: list[Candidate], named: Candidate, policy: MatchPolicy
) -> None:
    decision = decided(*emails, named=named, policy=policy)
    assert all(reason for _, reason in decision.considered)
    if decision.rule in ("donor_address", "none"):
        told = {id_ for id_, _ in decision.considered}
        assert len(told) == min(10, len(emails) + 1)
    if decision.email:
        assert decision.considered[0][0] == decision.email.id


@pytest.mark.parametrize(
    "garbage", [None, "", "   ", "utm_source=x", "0" * 23, "0" * 25, "g" * 24, "é" * 24, "\0"]
)
def test_a_garbage_reference_names_no_email(garbage: str | None) -> None:
    assert parse_email_id(garbage) is None


def test_an_id_may_have_spaces_around_it() -> None:
    id_ = ObjectId()
    assert parse_email_id(f" {id_}\n") == id_
