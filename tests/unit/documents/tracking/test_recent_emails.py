"""The email of a bounce that names only an address: pure."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.rows.email import EmailRow
from documents.tracking.recent_emails import choose_only_recent, names_only_address
from tests.rows import email_row, event_row

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BOB = "bob@example.edu"
BOUNCE = event_row(type="bounce", at=NOON, address=BOB)


def sent(hours_before: float, **more: Any) -> EmailRow:
    return email_row(sent_at=NOON - timedelta(hours=hours_before), **more)


def test_the_only_email_of_the_last_72_hours_is_the_bounced_one() -> None:
    recent = sent(5)
    assert choose_only_recent(BOUNCE, [sent(100), recent, sent(-1)]) == recent["_id"]


def test_two_emails_or_none_leave_the_bounce_unmatched() -> None:
    assert choose_only_recent(BOUNCE, [sent(5), sent(30)]) is None
    assert choose_only_recent(BOUNCE, [sent(100), sent(-1)]) is None
    assert choose_only_recent(BOUNCE, []) is None


@pytest.mark.parametrize(
    ("seconds", "is_recent"),
    [(-1, False), (-0.999, True), (0, True), (72 * 3600, True), (72 * 3600 + 0.001, False)],
)
def test_the_period_includes_both_ends(seconds: float, is_recent: bool) -> None:
    """An email of the same second came before the bounce, whose time is in whole seconds."""
    email = email_row(sent_at=NOON - timedelta(seconds=seconds))
    assert (choose_only_recent(BOUNCE, [email]) == email["_id"]) is is_recent


def test_without_a_time_of_sending_the_time_of_recording_counts() -> None:
    recorded = email_row(created_at=NOON - timedelta(hours=1))
    later = email_row(created_at=NOON + timedelta(hours=1))
    assert choose_only_recent(BOUNCE, [recorded, later]) == recorded["_id"]
    # The time of sending takes precedence.
    old = sent(100, created_at=NOON - timedelta(hours=1))
    assert choose_only_recent(BOUNCE, [recorded, old]) == recorded["_id"]


def test_a_dropped_email_did_not_go_out() -> None:
    went, dropped = sent(5), sent(4, dropped_at=NOON - timedelta(hours=4))
    assert choose_only_recent(BOUNCE, [went, dropped]) == went["_id"]
    delivered_later = sent(4, dropped_at=NOON, delivered_at=NOON)
    assert choose_only_recent(BOUNCE, [went, delivered_later]) is None


def test_an_email_that_bounced_before_still_counts() -> None:
    """A second report about one email must not reach another email."""
    bounced = sent(5, bounced_at=NOON - timedelta(hours=4))
    assert choose_only_recent(BOUNCE, [bounced]) == bounced["_id"]
    assert choose_only_recent(BOUNCE, [bounced, sent(30)]) is None


@pytest.mark.parametrize(
    "more",
    [
        {"message_id": "m1"},
        {"sg_message_id": "m1"},
        {"names_email": True},
        {"address": ""},
        *(
            {"type": type_}
            for type_ in ("dropped", "deferred", "spamreport", "open", "unsubscribe")
        ),
    ],
)
def test_other_events_are_never_guessed(more: dict[str, Any]) -> None:
    assert names_only_address(BOUNCE)
    assert names_only_address(event_row(**BOUNCE | {"bounce_type": "blocked"}))
    assert not names_only_address(event_row(**BOUNCE | more))


@given(st.lists(st.floats(-100, 200)), st.randoms())
def test_the_order_of_the_emails_does_not_matter(hours: list[float], random: Any) -> None:
    emails = [sent(some) for some in hours]
    shuffled = random.sample(emails, len(emails))
    assert choose_only_recent(BOUNCE, emails) == choose_only_recent(BOUNCE, shuffled)
