"""Gifts by local day and hour, including days when daylight-saving time starts or ends."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from documents.gift_day import build_gift_day_row, make_gift_day_id, quarter_key
from documents.reports.gift_times import UtcDay, sum_by_local_time
from tests.rows import donation_row

ZONES = (
    *("UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu"),
    *("Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Marquesas", "America/St_Johns"),
)
Gift = tuple[datetime, str, int]


def counted(gifts: list[Gift]) -> list[UtcDay]:
    """Return gifts as counters store them."""
    days: dict[date, tuple[Counter[str], defaultdict[str, Counter[str]]]] = {}
    for at, code, amount in gifts:
        count, raised = days.setdefault(at.date(), (Counter(), defaultdict(Counter)))
        slot = quarter_key(donation_row(donated_at=at))
        count[slot] += 1
        raised[code][slot] += amount
    return [UtcDay(day, count, raised) for day, (count, raised) in days.items()]


def naively(gifts: list[Gift], zone: ZoneInfo) -> dict[date, tuple[int, dict[str, int]]]:
    """Compute the same, one gift at a time."""
    found: dict[date, tuple[int, Counter[str]]] = {}
    for at, code, amount in gifts:
        day = at.astimezone(zone).date()
        count, raised = found.get(day, (0, Counter()))
        raised[code] += amount
        found[day] = count + 1, raised
    return {day: (count, dict(raised)) for day, (count, raised) in found.items()}


def told(lines: list[Any], name: str) -> dict[Any, tuple[int, dict[str, int]]]:
    return {line[name]: (line["count"], line["raised"]) for line in lines}


def every_quarter(zone: ZoneInfo, day: date) -> list[Gift]:
    """Return a gift of one cent in each quarter of an hour around a local day."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1)
    return [(start + timedelta(minutes=15 * number), "USD", 1) for number in range(4 * 24 * 3)]


@pytest.mark.parametrize(
    ("name", "day", "quarters", "hours"),
    [
        ("America/New_York", "2026-03-08", 23 * 4, 23),
        ("America/New_York", "2026-11-01", 25 * 4, 25),
        ("America/New_York", "2026-11-02", 24 * 4, 24),
        ("Europe/Berlin", "2026-03-29", 23 * 4, 23),
        ("Europe/Berlin", "2026-10-25", 25 * 4, 25),
        ("Asia/Kolkata", "2026-03-29", 24 * 4, 24),
        ("Asia/Kathmandu", "2026-03-29", 24 * 4, 24),
        ("Australia/Lord_Howe", "2026-04-05", 98, 25),  # half an hour more
        ("Australia/Lord_Howe", "2026-10-04", 94, 24),  # half an hour less
    ],
)
def test_clock_changes_give_days_of_23_and_25_hours(
    name: str, day: str, quarters: int, hours: int
) -> None:
    zone, wanted = ZoneInfo(name), date.fromisoformat(day)
    rows = counted(
        [gift for gift in every_quarter(zone, wanted) if gift[0].astimezone(zone).date() == wanted]
    )
    [found], found_hours = sum_by_local_time(rows, zone, 31, is_cut=False)
    assert found == {"day": wanted, "count": quarters, "raised": {"USD": quarters}}
    assert len(found_hours) == hours


def test_a_repeated_hour_appears_twice_and_a_skipped_hour_is_missing() -> None:
    zone = ZoneInfo("America/New_York")
    rows = counted(every_quarter(zone, date(2026, 11, 1)))
    _, hours = sum_by_local_time(rows, zone, 31, is_cut=False)
    names = [line["hour"].isoformat() for line in hours]
    assert "2026-11-01T01:00:00-04:00" in names
    assert "2026-11-01T01:00:00-05:00" in names
    rows = counted(every_quarter(zone, date(2026, 3, 8)))
    _, hours = sum_by_local_time(rows, zone, 31, is_cut=False)
    assert not [line for line in hours if line["hour"].isoformat().startswith("2026-03-08T02")]


BEGIN, MINUTES = datetime(2026, 2, 1, tzinfo=UTC), 300 * 24 * 60
times = st.integers(0, MINUTES).map(lambda minutes: BEGIN + timedelta(minutes=minutes))
gifts = st.lists(
    st.tuples(times, st.sampled_from(["USD", "JPY"]), st.integers(1, 10_000)), max_size=60
)


@given(gifts, st.sampled_from(ZONES))
def test_days_equal_the_sum_of_single_gifts(made: list[Gift], name: str) -> None:
    zone = ZoneInfo(name)
    days, hours = sum_by_local_time(counted(made), zone, 31, is_cut=False)
    expected = naively(made, zone)
    latest = sorted(expected)[-31:]
    assert told(days, "day") == {day: expected[day] for day in latest}
    assert [line["day"] for line in days] == latest
    for day in latest[-2:]:
        assert (
            sum(line["count"] for line in hours if line["hour"].date() == day) == (expected[day][0])
        )


@given(gifts, st.sampled_from(ZONES))
def test_truncated_rows_leave_no_partial_day(made: list[Gift], name: str) -> None:
    zone = ZoneInfo(name)
    rows = sorted(counted(made), key=lambda row: row.day)[3:]
    days, _ = sum_by_local_time(rows, zone, 31, is_cut=True)
    expected = naively(made, zone)
    assert all(expected[line["day"]] == (line["count"], line["raised"]) for line in days)


def test_a_day_is_labelled_with_its_own_date() -> None:
    of = ObjectId()
    at = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)
    id_ = make_gift_day_id("mailing", of, donation_row(donated_at=at))
    assert id_ == f"mailing:{of}:2026-11-23"
    row = build_gift_day_row(id_)
    assert row.pop("created_at")
    assert row == {"_id": id_, "mailing_id": of}
    assert quarter_key(donation_row(donated_at=at)) == "95"
