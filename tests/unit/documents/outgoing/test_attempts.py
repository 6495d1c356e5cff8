"""Retries follow with growing, jittered pauses for three days, and honour Retry-After."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from documents.outgoing.attempts import (
    MAX_PAUSE_SECONDS,
    MAX_STORED_ATTEMPTS,
    RETRY_TIME,
    choose_next_attempt,
    choose_pause,
)

AT = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)


def test_pauses_grow_from_seconds_to_hours() -> None:
    pauses = [choose_pause(tries, chance=random.Random(1)) for tries in range(1, 30)]
    assert 4 <= pauses[0] <= 5
    assert all(before < after for before, after in pairwise(pauses[:9]))
    assert max(pauses) <= MAX_PAUSE_SECONDS
    assert min(pauses[9:]) >= 0.8 * MAX_PAUSE_SECONDS


def test_pauses_differ_so_that_retries_spread_out() -> None:
    assert len({choose_pause(5) for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("retry_after", "least", "most"), [(60.0, 60, 60), (1.0, 4, 5), (1e9, 21_600, 21_600)]
)
def test_retry_after_lengthens_a_pause_within_a_limit(
    retry_after: float, least: float, most: float
) -> None:
    assert least <= choose_pause(1, retry_after) <= most


def test_the_last_attempt_is_three_days_after_the_first() -> None:
    at, tries = AT, 0
    times = []
    while following := choose_next_attempt(AT, at, tries := tries + 1):
        assert following > at
        times.append(at := following)
    assert times[-1] == AT + RETRY_TIME
    assert 15 < len(times) < MAX_STORED_ATTEMPTS


def test_no_attempt_follows_after_three_days() -> None:
    assert choose_next_attempt(AT, AT + timedelta(days=3), 1) is None
    assert choose_next_attempt(AT, AT + timedelta(days=3) - timedelta(seconds=1), 9) is not None
