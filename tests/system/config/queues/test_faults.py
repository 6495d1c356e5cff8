"""The same faults on each kind of queue: no work is lost or counted twice, and wake-ups arrive.

The sweep is set to once an hour. So the queue woke a worker for everything that settles soon,
except for what a worker finds due when it starts.
"""

import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from documents.recount import recount
from jobs.sweep import sweep_due_records
from service.local.supervisor import Supervisor
from tests.system.test_story import settled
from tools.testbed.cast import University, create_university, make_event
from tools.testbed.queue_places import OUTAGE_SECONDS, QUEUE_PLACES, QueuePlace
from tools.testbed.stack import Servers, Stack, wait_until

WOKEN_SECONDS = 3.0  # far below the sweep's hour; a busy machine needs time
STOP_SECONDS = 10
A_FEW = 5
AMOUNT = 100
AT = 1_700_000_000
SETTINGS = {"MATCHBACK_SWEEP_SECONDS": "3600", "MATCHBACK_WEB_WORKERS": "1"}


@dataclass
class WithoutRedis(Servers):
    """Servers without a Redis, so that only the queue's URL can name one."""

    @property
    def redis_url(self) -> str:
        return ""


@pytest.fixture(params=QUEUE_PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[QueuePlace]:
    supervisor = Supervisor(say=lambda text: None)
    try:
        with QUEUE_PLACES[request.param](tmp_path, supervisor) as made:
            yield made
    finally:
        supervisor.stop()


@contextmanager
def running(place: QueuePlace, real: Servers, uri: str, folder: Path) -> Iterator[Stack]:
    """Run a web process and a worker with that queue."""
    none = WithoutRedis(real.mongodb_port, 0, real.supervisor)
    queue = {"MATCHBACK_QUEUE_URL": place.url, **place.environment}
    with Stack(none, uri, folder, environment=SETTINGS | queue).up() as stack:
        wait_until(lambda: "worker ready" in stack.log("worker"), "a worker")
        yield stack


class Day:
    """Gifts, and opens of one email, with those that were acknowledged."""

    def __init__(self, alice: University) -> None:
        self.alice = alice
        self.spring = alice.fundraiser()
        self.email = alice.email(self.spring)
        self.gifts = self.opens = 0

    def gift(self) -> None:
        self.alice.gift(self.spring, AMOUNT, email_id=self.email)
        self.gifts += 1

    def open(self) -> None:
        """Send an open, which SendGrid reports twice."""
        self.opens += 1
        told = make_event(self.email, "open", AT + self.opens)
        assert [self.alice.deliver([told]).status for _ in range(2)] == [202, 202]

    def work(self) -> float:
        """Send some gifts and opens, and return the longest response time in seconds."""
        took = []
        for _ in range(A_FEW):
            begun = time.monotonic()
            self.gift()
            self.open()
            took.append(time.monotonic() - begun)
        return max(took)

    def is_settled_within(self, seconds: float) -> float | None:
        """Return the seconds until a gift was counted, or None beyond the limit."""
        self.gift()
        begun = time.monotonic()
        while (took := time.monotonic() - begun) < seconds:
            if not any(self.alice.report(self.spring)["unsettled"].values()):
                return max(took, 1e-9)
            time.sleep(0.01)
        return None

    def wakes_again(self) -> float | None:
        """Return the seconds for one gift, and settle it by a sweep if no worker did."""
        took = self.is_settled_within(WOKEN_SECONDS)
        while sweep_due_records():
            pass
        return took


def test_nothing_is_lost_or_counted_twice_and_wakeups_arrive(
    place: QueuePlace, real_servers: Servers, real_database: str, tmp_path: Path
) -> None:
    with running(place, real_servers, real_database, tmp_path) as stack:
        alice = create_university("Alice's University", stack.api())
        alice.set_webhook_key()
        day = Day(alice)
        wait_until(day.wakes_again, "the first wake-up")
        assert typical(day) < WOKEN_SECONDS / 2

        # The queue fails and returns, possibly empty. No client waits for it.
        begun = time.monotonic()
        with place.away():
            while time.monotonic() < begun + OUTAGE_SECONDS:
                assert day.work() < 2.0, "a request waited for the queue"
        wait_until(day.wakes_again, "wake-ups again, with the same worker")

        # A worker dies at work, and another one starts.
        day.work()
        stack.kill("worker")
        day.work()
        stack.start_worker()
        day.work()
        check(day)
        wait_until(day.wakes_again, "wake-ups for the new worker")
        assert typical(day) < WOKEN_SECONDS / 2

        # Stopping completes the work in progress, in time.
        day.work()
        stop(stack)
        while sweep_due_records():
            pass
        check(day)


def typical(day: Day) -> float:
    """Return the typical seconds until a gift is counted."""
    took = [day.is_settled_within(WOKEN_SECONDS) for _ in range(3)]
    return statistics.median(one or WOKEN_SECONDS for one in took)


def check(day: Day) -> None:
    """Check that every acknowledged gift and open is counted once, and every counter is correct."""
    report = settled(day.alice, day.spring)
    assert report["donations"]["raised"] == {"USD": day.gifts * AMOUNT}
    assert report["emails"]["opens"] == day.opens
    assert list(recount.find_drifts()) == []


def stop(stack: Stack) -> None:
    part = next(part for part in stack.supervisor.parts if part.name == "worker")
    assert part.process
    part.process.send_signal(signal.SIGTERM)
    assert part.process.wait(STOP_SECONDS) == 0
    stack.supervisor.parts.remove(part)
    assert "worker stopped" in stack.log("worker")
