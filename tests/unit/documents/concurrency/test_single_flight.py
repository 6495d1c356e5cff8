"""Single flight: one run at a time for each key, no waiting callers, and no lost call."""

import threading

import pytest

from documents.concurrency.single_flight import SingleFlight


def test_a_concurrent_caller_returns_and_causes_one_more_run() -> None:
    flight, runs = SingleFlight(), []
    started, go_on = threading.Event(), threading.Event()

    def work() -> int:
        runs.append(1)
        started.set()
        assert go_on.wait(10)
        return 1

    first = threading.Thread(target=flight.run, args=("spring", work))
    first.start()
    assert started.wait(10)
    assert flight.run("spring", work) == 0  # returns at once, while the work is in progress
    assert flight.run("spring", work) == 0
    go_on.set()
    first.join(10)
    assert len(runs) == 2


def test_other_keys_do_not_wait() -> None:
    flight = SingleFlight()
    assert flight.run("spring", lambda: flight.run("autumn", lambda: 2)) == 2


def test_a_failure_lets_the_next_caller_retry() -> None:
    flight = SingleFlight()

    def fail() -> int:
        raise RuntimeError("no")

    for _ in range(2):
        with pytest.raises(RuntimeError):
            flight.run("spring", fail)
    assert flight.run("spring", lambda: 3) == 3
