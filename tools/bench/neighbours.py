"""One organization's gifts beside the backlog of another organization.

The worker counts a backlog of events, of gifts to one fundraiser, or of imported emails. Meanwhile
the other organization reports a gift ten times a second. The figures are the times from the
response until the gift is counted.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bson import ObjectId
from mongoengine import get_db

from documents.storage.marks import DUE_FILTER
from tools.bench import slow_database
from tools.bench.ours import LATENCY_POLL_SECONDS, MeasuredStack
from tools.bench.processes import run_workers
from tools.bench.workload import Workload
from tools.testbed.cast import University, create_university
from tools.testbed.stack import NO_RATE_LIMITS, run_stack

SECONDS_BETWEEN_GIFTS = 0.1
MIN_GIFTS = 20
MAX_MEASURED_SECONDS = 120.0


class Neighbour:
    """The organization whose gifts are timed."""

    def __init__(self, place: University) -> None:
        self._place = place
        self._fundraiser = place.fundraiser()

    def time_gifts(self, goes_on: Callable[[], bool]) -> list[float]:
        """Report gifts while this holds. Return the seconds until each is counted.

        The first gift is not timed, because it waits for the start of the worker.
        """
        waited: list[float] = []
        self._time_gift()
        deadline = time.monotonic() + MAX_MEASURED_SECONDS
        while len(waited) < MIN_GIFTS or (goes_on() and time.monotonic() < deadline):
            begun = time.monotonic()
            waited.append(self._time_gift())
            time.sleep(max(0.0, begun + SECONDS_BETWEEN_GIFTS - time.monotonic()))
        return waited

    def _time_gift(self) -> float:
        gift = ObjectId(self._place.gift(self._fundraiser))
        answered = time.monotonic()
        while not self._is_counted(gift):
            time.sleep(LATENCY_POLL_SECONDS)
        return time.monotonic() - answered

    def _is_counted(self, gift: ObjectId) -> bool:
        return get_db().donations.find_one({"_id": gift, "match": None}, {"_id": 1}) is None


def has_due(name: str, organization_id: ObjectId) -> bool:
    """Return whether a record of the organization waits for counting."""
    query = {**DUE_FILTER, "organization_id": organization_id}
    return get_db()[name].find_one(query, {"_id": 1}) is not None


@contextmanager
def import_beside(mine: MeasuredStack, emails: int) -> Iterator[Callable[[], bool]]:
    """Import emails in another thread, as a client does. Yield whether work is left."""
    work = partial(
        slow_database.import_numbered_emails,
        mine.alice,
        mine.stack.url,
        mine.alice.fundraiser(),
        emails,
    )
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield lambda: thread.is_alive() or has_due("emails", mine.organization_id)
    finally:
        thread.join()


def describe_times(what: str, waited: list[float]) -> str:
    """Return a line with the median, the 99th percentile and the longest time."""
    p99 = statistics.quantiles(waited, n=100, method="inclusive")[-1]
    return (
        f"{what}: p50 {statistics.median(waited) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, "
        f"longest {max(waited) * 1000:.0f} ms, {len(waited)} gifts"
    )


def measure_neighbours(
    mine: MeasuredStack, neighbour: Neighbour, events: int, gifts: int, emails: int
) -> Iterator[str]:
    """Yield a line for each kind of backlog."""
    mine.store_event_backlog(events)
    with run_workers(mine.stack, 1):
        is_left = partial(has_due, "deliveries", mine.organization_id)
        yield describe_times(f"{events} events", neighbour.time_gifts(is_left))
    mine.gifts(gifts)
    with run_workers(mine.stack, 1):
        is_left = partial(has_due, "donations", mine.organization_id)
        yield describe_times(f"{gifts} gifts", neighbour.time_gifts(is_left))
        yield describe_times("nothing", neighbour.time_gifts(lambda: False))
        with import_beside(mine, emails) as is_importing:
            yield describe_times(f"{emails} emails", neighbour.time_gifts(is_importing))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--gifts", type=int, default=20_000)
    parser.add_argument("--emails", type=int, default=50_000)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        run_stack(Path(name), NO_RATE_LIMITS, has_worker=False) as stack,
    ):
        mine = MeasuredStack(stack, Workload(users=5000, fundraisers=1, emails=10_000))
        neighbour = Neighbour(create_university("Bob's University", stack.api()))
        for line in measure_neighbours(mine, neighbour, given.events, given.gifts, given.emails):
            print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
