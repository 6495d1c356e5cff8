"""An endpoint that succeeds gets more requests at once, and one that fails gets pauses."""

from documents.outgoing.attempts import Attempt
from documents.values.time import now
from jobs.sender.pace import MAX_PAUSE_SECONDS, MAX_REQUESTS_AT_ONCE, Pace

SUCCESS = Attempt(now(), 0.01, 200)
SLOW_SUCCESS = Attempt(now(), 3.0, 200)
FAILURE = Attempt(now(), 0.01, 500, "Status 500.")
TIMEOUT = Attempt(now(), 15.0, error="No response in time.", is_timeout=True)
BUSY = Attempt(now(), 0.01, 429, "Status 429.", retry_after=40.0)


def note(pace: Pace, *attempts: Attempt, at: float = 0.0) -> Pace:
    for attempt in attempts:
        at = max(at, pace.paused_until)
        pace.note(attempt, at)
    return pace


def test_the_limit_grows_with_each_success() -> None:
    pace = Pace()
    assert pace.limit == 1
    assert note(pace, *[SUCCESS] * 3).limit == 4
    assert note(pace, *[SUCCESS] * 50).limit == MAX_REQUESTS_AT_ONCE


def test_one_bad_event_among_good_ones_causes_no_pause() -> None:
    pace = note(Pace(), *[SUCCESS] * 20, FAILURE)
    assert not pace.is_paused(0)
    assert not pace.is_slow
    assert pace.limit == MAX_REQUESTS_AT_ONCE // 2
    assert not note(pace, *[SUCCESS, FAILURE] * 50).is_failing


def test_repeated_failures_cause_growing_pauses_with_one_request_at_a_time() -> None:
    pace, pauses, at = note(Pace(), *[SUCCESS] * 20), [], 0.0
    for _ in range(20):
        pace.note(FAILURE, at)
        pauses.append(pace.paused_until - at)
        at = pace.paused_until
    assert pauses[:2] == [0, 0]
    assert 0 < pauses[2] <= 1
    assert MAX_PAUSE_SECONDS * 2 / 3 <= pauses[-1] <= MAX_PAUSE_SECONDS
    assert (pace.limit, pace.is_slow, pace.is_failing) == (1, True, True)


def test_a_success_ends_the_failure() -> None:
    pace = note(Pace(is_failing=True), SUCCESS)
    assert not pace.is_failing
    assert not pace.is_slow


def test_a_burst_of_time_outs_counts_once() -> None:
    pace = note(Pace(), *[SUCCESS] * 20)
    for _ in range(16):
        pace.note(TIMEOUT, 100.0)
    assert pace.is_failing
    assert pace.paused_until <= 101.0


def test_a_receiver_that_answers_slowly_uses_the_slow_lane() -> None:
    pace = note(Pace(), *[SLOW_SUCCESS] * 3)
    assert pace.is_slow
    assert not pace.is_failing
    assert pace.limit == 1
    assert not note(pace, SUCCESS).is_slow


def test_retry_after_pauses_the_endpoint() -> None:
    assert note(Pace(), BUSY).paused_until == 40.0


def test_an_endpoint_that_failed_before_begins_carefully() -> None:
    pace = Pace(is_failing=True)
    assert pace.is_slow
    assert pace.is_failing
    assert not pace.is_paused(0.0)
