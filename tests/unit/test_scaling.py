"""docs/explanation/scaling.md shows the calculation's results; the simulation is realistic."""

import pytest

from tools.bench.scaling import (
    BEGIN_MARKER,
    END_MARKER,
    MEASURED_RECORDS,
    RECORD_COUNTS,
    SCALING_PAGE,
    format_page,
)
from tools.bench.scaling_turns import (
    EVENTS_A_SECOND,
    HALF_HOUR_SECONDS,
    compute_shares,
    count_arrived,
    find_arrival_seconds,
    simulate_half_hour,
)


def test_the_page_shows_the_calculated_figures() -> None:
    """If this fails, run `python -m tools.bench.scaling --write`."""
    assert (
        SCALING_PAGE.read_text().partition(BEGIN_MARKER)[2].partition(END_MARKER)[0].strip()
        == format_page()
    )
    assert {one.collection for one in MEASURED_RECORDS} == RECORD_COUNTS.keys()


def test_arrivals_add_up() -> None:
    assert sum(compute_shares(1000)) == pytest.approx(1)
    assert count_arrived(HALF_HOUR_SECONDS, 6000) == pytest.approx(6000)
    for second in (1, 299, 301, 1799):
        assert find_arrival_seconds(count_arrived(second, 1)) == pytest.approx(second)


def test_workers_that_keep_up_leave_no_backlog() -> None:
    run = simulate_half_hour(4, compute_shares(20), 100_000)
    assert max(run.lags) <= 4
    assert run.busy < 0.6


def test_more_workers_do_not_speed_up_one_organization() -> None:
    """Seven more workers do not help with twice as many events as one worker can count."""
    total = 2 * EVENTS_A_SECOND * HALF_HOUR_SECONDS
    one, eight = simulate_half_hour(1, [1.0], total), simulate_half_hour(8, [1.0], total)
    assert one.backlog == eight.backlog > total / 3
    assert eight.busy == pytest.approx(one.busy / 8)
