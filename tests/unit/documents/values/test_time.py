"""Times are truncated to MongoDB's precision, so that a record reads as it was written."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from documents.providers import sendgrid
from documents.values.time import now, truncate_to_milliseconds
from service.api.fields import read_time


@pytest.mark.parametrize(("given", "kept"), [(0, 0), (999, 0), (1_000, 1_000), (999_999, 999_000)])
def test_fractions_of_a_millisecond_are_truncated(given: int, kept: int) -> None:
    time = datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert truncate_to_milliseconds(time.replace(microsecond=given)) == time.replace(
        microsecond=kept
    )


def test_the_time_zone_is_kept() -> None:
    here = timezone(timedelta(hours=5, minutes=30))
    assert truncate_to_milliseconds(datetime(2026, 11, 23, 10, 0, 0, 1_234, here)).tzinfo is here


def test_times_of_the_clock_clients_and_providers_agree() -> None:
    event = {"event": "open", "email": "bob@example.edu", "timestamp": 1_763_800_000.1239}
    times = [
        now(),
        read_time("2026-11-23T10:00:00.123999Z"),
        sendgrid.read_event_report(b"", event).at,
    ]
    assert [time.microsecond % 1000 for time in times] == [0, 0, 0]
