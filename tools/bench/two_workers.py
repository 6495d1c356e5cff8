"""Compare two workers with one: on one hot mailing, and on organizations that share no counters.

The second case is the upper bound of what another layout of counters could gain, because there no
transaction waits for another. Processor time shows the cost on a busy machine.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from bson import ObjectId
from mongoengine import get_db

from documents.organization import Organization
from documents.storage.due_groups import count_due
from documents.storage.record import build_record_row
from documents.values.time import now
from documents.webhook_delivery import WebhookDelivery
from tools.bench import stored
from tools.bench.processes import run_workers
from tools.bench.request_cost import read_clock
from tools.bench.workload import EVENTS_A_POST, Workload, build_id
from tools.testbed.stack import Stack, run_servers, wait_until

ORGANIZATION_COUNT = 20
IDLE_SECONDS = 4.0  # until new workers are idle
DUE_SECONDS = 10  # so that the sweep takes the posts at once
MICROSECONDS_PER_SECOND = 1_000_000


class Backlog:
    """Posts of events, each for one of the organizations."""

    def __init__(self, organizations: int, emails: int) -> None:
        self._workload = Workload(emails, organizations, emails)
        self._organizations = [
            Organization.create(f"Number {number}").id for number in range(organizations)
        ]
        self._events = 0
        stored.store_workload(self._organizations[0], self._workload)
        for number, organization in enumerate(self._organizations):
            self._hand_over(number, organization)

    def _hand_over(self, number: int, organization_id: ObjectId) -> None:
        """Move a fundraiser with all its records to its organization."""
        fundraiser = ObjectId(build_id("fundraiser", number))
        step = self._workload.fundraisers
        users = [ObjectId(build_id("user", n)) for n in range(number, self._workload.users, step)]
        change = {"$set": {"organization_id": organization_id}}
        for name in ("emails", "mailings"):
            get_db()[name].update_many({"fundraiser_id": fundraiser}, change)
        for name in ("users", "user_index"):
            get_db()[name].update_many({"_id": {"$in": users}}, change)
        get_db().fundraisers.update_one({"_id": fundraiser}, change)

    def store(self, many: int) -> None:
        """Store new posts of this many events in total."""
        rows = [
            build_record_row(
                WebhookDelivery,
                organization_id=organization_id,
                provider="sendgrid",
                body=json.dumps(events).encode(),
                items=len(events),
                due=now() - timedelta(seconds=DUE_SECONDS),
            )
            for organization_id, events in self._posts(many)
        ]
        stored.insert_rows("deliveries", rows)

    def _posts(self, many: int) -> Iterator[tuple[ObjectId, list[object]]]:
        waiting: dict[int, list[object]] = {}
        for index in range(self._events, self._events + many):
            event = self._workload.event(index)
            number = int(event["email_id"][12:], 16) % self._workload.fundraisers
            events = waiting.setdefault(number, [])
            events.append(event)
            if len(events) == EVENTS_A_POST:
                yield self._organizations[number], waiting.pop(number)
        self._events += many
        for number, events in waiting.items():
            yield self._organizations[number], events


def measure(stack: Stack, backlog: Backlog, workers: int, events: int) -> tuple[float, ...]:
    """Count events. Return the events per second, and µs of Python and of MongoDB for each."""
    with run_workers(stack, workers) as running:
        time.sleep(IDLE_SECONDS)
        pids = [*running.pids().values(), stack.servers.pid("MongoDB")]
        backlog.store(events)
        before, begun = list(map(read_clock, pids)), time.perf_counter()
        wait_until(lambda: not count_due("deliveries", limit=1), "all counted", 600)
        seconds = time.perf_counter() - begun
        spent = [
            (read_clock(pid) - clock) * MICROSECONDS_PER_SECOND / events
            for pid, clock in zip(pids, before, strict=True)
        ]
    return events / seconds, sum(spent[:-1]), spent[-1]


@contextmanager
def run_database() -> Iterator[Stack]:
    """Start MongoDB and Redis for workers."""
    with tempfile.TemporaryDirectory() as name, run_servers(Path(name)) as (started, uri):
        told = {"MATCHBACK_MONGODB_URI": uri, "MATCHBACK_REDIS_URL": started.redis_url}
        yield Stack(started, uri, Path(name), environment=told)


def main() -> None:
    """Print the figures of one and of two workers, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--emails", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for organizations in (1, ORGANIZATION_COUNT):
        found: dict[int, list[tuple[float, ...]]] = {1: [], 2: []}
        with run_database() as stack:
            backlog = Backlog(organizations, given.emails)
            for _ in range(given.rounds):
                for workers, figures in found.items():
                    figures.append(measure(stack, backlog, workers, given.events))
        for workers, figures in found.items():
            rate, python, mongodb = (statistics.median(one) for one in zip(*figures, strict=True))
            print(  # noqa: T201
                f"{organizations} organizations, {workers} workers: {rate:.0f} events/s, "
                f"{python:.0f} µs Python, {mongodb:.0f} µs MongoDB",
                flush=True,
            )


if __name__ == "__main__":
    main()
