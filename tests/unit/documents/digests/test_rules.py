"""The periods of digests: their edges, and the changes of clocks."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.digests.rules import (
    DIGEST_FREQUENCIES,
    DigestFrequency,
    DigestPeriod,
    find_last_period,
    find_next_due,
)

NEW_YORK, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")
ADELAIDE, KATHMANDU = ZoneInfo("Australia/Adelaide"), ZoneInfo("Asia/Kathmandu")
LORD_HOWE, CAIRO = ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Africa/Cairo")
ZONES = [NEW_YORK, BERLIN, ADELAIDE, KATHMANDU, LORD_HOWE, CAIRO, ZoneInfo("UTC")]


def local(zone: ZoneInfo, *at: int) -> datetime:
    return datetime(*at, tzinfo=zone).astimezone(UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_a_day_is_due_at_seven_of_the_next_day(zone: ZoneInfo) -> None:
    seven = local(zone, 2026, 11, 28, 7)
    assert find_last_period("daily", seven, zone).first == date(2026, 11, 27)
    before = seven - timedelta(milliseconds=1)
    assert find_last_period("daily", before, zone).first == date(2026, 11, 26)
    assert find_next_due("daily", before, zone) == seven
    assert find_next_due("daily", seven, zone) == local(zone, 2026, 11, 29, 7)


def test_a_week_is_due_on_monday() -> None:
    monday = local(BERLIN, 2026, 11, 30, 7)
    week = find_last_period("weekly", monday, BERLIN)
    assert (week.first, week.last, week.name) == (
        date(2026, 11, 23),
        date(2026, 11, 29),
        "2026-W48",
    )
    assert week.previous.first == date(2026, 11, 16)
    before = monday - timedelta(seconds=1)
    assert find_last_period("weekly", before, BERLIN).name == "2026-W47"
    assert find_next_due("weekly", before, BERLIN) == monday
    assert find_next_due("weekly", monday, BERLIN) == local(BERLIN, 2026, 12, 7, 7)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (NEW_YORK, date(2026, 3, 8), 23),
        (NEW_YORK, date(2026, 11, 1), 25),
        (BERLIN, date(2026, 3, 29), 23),
        (BERLIN, date(2026, 10, 25), 25),
        (ADELAIDE, date(2026, 4, 5), 25),
        (LORD_HOWE, date(2026, 4, 5), 24.5),
        (CAIRO, date(2026, 4, 24), 23),  # midnight does not exist on this day
        (KATHMANDU, date(2026, 3, 8), 24),
    ],
    ids=str,
)
def test_a_day_on_which_clocks_change_is_whole(zone: ZoneInfo, day: date, hours: float) -> None:
    begin, end = DigestPeriod("daily", day).get_bounds(zone)
    assert end - begin == timedelta(hours=hours)
    assert begin.astimezone(zone).date() == day
    assert (begin - timedelta(milliseconds=1)).astimezone(zone).date() < day


@pytest.mark.parametrize("frequency", DIGEST_FREQUENCIES)
@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_a_year_has_each_period_once(zone: ZoneInfo, frequency: DigestFrequency) -> None:
    """No period is missing or repeated, and each one begins where the previous one ended."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    known = find_last_period(frequency, at, zone)
    for _ in range(53 if frequency == "weekly" else 366):
        at = find_next_due(frequency, at, zone)
        assert at.astimezone(zone).strftime("%H:%M") == "07:00"
        period = find_last_period(frequency, at, zone)
        assert period.previous == known
        assert known.get_bounds(zone)[1] == period.get_bounds(zone)[0]
        known = period


@given(st.integers(0, 365 * 24 * 60), st.sampled_from(ZONES))
def test_the_last_period_is_finished_and_the_next_is_not_due(minute: int, zone: ZoneInfo) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    for frequency in DIGEST_FREQUENCIES:
        period, due = find_last_period(frequency, at, zone), find_next_due(frequency, at, zone)
        assert period.get_bounds(zone)[1] <= at < due
        assert find_last_period(frequency, due, zone).previous == period


def test_after_an_outage_only_the_last_period_is_left() -> None:
    recovered = local(NEW_YORK, 2026, 11, 28, 16, 30)
    assert find_last_period("daily", recovered, NEW_YORK).name == "2026-11-27"
    assert find_next_due("daily", recovered, NEW_YORK) == local(NEW_YORK, 2026, 11, 29, 7)


def test_weeks_at_the_end_of_a_year_have_names_of_their_own() -> None:
    names = [DigestPeriod("weekly", date(2026, 12, 21) + timedelta(weeks=n)).name for n in range(3)]
    assert names == ["2026-W52", "2026-W53", "2027-W01"]
