"""A problem that begins and ends repeatedly does not fill a mailbox."""

from datetime import UTC, datetime, timedelta

from documents.notices.rules import (
    MAX_NOTICES_PER_PERIOD,
    choose_first_notice,
    choose_next_notice,
    is_within_budget,
)

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_the_first_notice_is_immediate() -> None:
    assert choose_first_notice([], AT) == AT


def test_another_notice_waits_for_an_hour_after_the_last_one() -> None:
    assert choose_first_notice([AT - 10 * HOUR, AT - HOUR / 2], AT) == AT + HOUR / 2
    assert choose_first_notice([AT - 2 * HOUR], AT) == AT


def test_one_reminder_follows_after_a_day() -> None:
    assert choose_next_notice("failed_jobs", 1, AT) == AT + 24 * HOUR
    assert choose_next_notice("failed_jobs", 2, AT) is None


def test_incorrect_counters_have_no_reminder() -> None:
    assert choose_next_notice("drift", 1, AT) is None


def test_an_organization_receives_a_limited_number_of_notices_a_day() -> None:
    recent = [AT - timedelta(minutes=number) for number in range(MAX_NOTICES_PER_PERIOD)]
    assert not is_within_budget(recent, AT)
    assert is_within_budget(recent[1:], AT)
    assert is_within_budget([AT - 25 * HOUR, *recent[1:]], AT)
