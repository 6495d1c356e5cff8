"""docs/explanation/scaling.md shows the calculation's results; the simulation is realistic."""

import pytest

from tools.bench.scaling import BEGIN, END, HOW_MANY, PAGE, SAMPLE, text
from tools.bench.scaling_turns import (
    EVENTS_A_SECOND,
    HALF_HOUR_SECONDS,
    arrived,
    arrived_at,
    shares,
    simulate,
)


def test_the_page_shows_the_calculated_figures() -> None:
    """If this fails, run `python -m tools.bench.scaling --write`."""
    assert PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip() == text()
    assert {one.collection for one in SAMPLE} == HOW_MANY.keys()


def test_arrivals_add_up() -> None:
    assert sum(shares(1000)) == pytest.approx(1)
    assert arrived(HALF_HOUR_SECONDS, 6000) == pytest.approx(6000)
    for second in (1, 299, 301, 1799):
        assert arrived_at(arrived(second, 1)) == pytest.approx(second)


def test_workers_that_keep_up_leave_no_backlog() -> None:
    run = simulate(4, shares(20), 100_000)
    assert max(run.lags) <= 4
    assert run.busy < 0.6


def test_more_workers_do_not_speed_up_one_organization() -> None:
    """Seven more workers do not help with twice as many events as one worker can count."""
    total = 2 * EVENTS_A_SECOND * HALF_HOUR_SECONDS
    one, eight = simulate(1, [1.0], total), simulate(8, [1.0], total)
    assert one.backlog == eight.backlog > total / 3
    assert eight.busy == pytest.approx(one.busy / 8)
