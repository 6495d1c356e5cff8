"""Measure the delivery of outgoing events to a fast receiver on this machine.

First, a backlog: events wait, then one sender starts. Second, live: gifts arrive at a steady rate,
workers settle them, and the sender delivers the events. The processor time of each process shows
the cost on a busy machine.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bson import ObjectId
from cryptography.fernet import Fernet
from mongoengine import get_db

from config.settings import get_settings
from documents.organization import Organization
from documents.outgoing.webhook_endpoint import WebhookEndpoint
from service.local.command import build_sender_command, build_worker_command
from service.local.servers import LOOPBACK_ADDRESS, find_free_port
from service.local.supervisor import Part, Supervisor
from tools.bench import stored
from tools.bench.processes import is_listening, run_parts
from tools.bench.request_cost import read_clock
from tools.bench.workload import Workload
from tools.testbed.stack import run_servers, wait_until

STEP_SECONDS = 0.1
IDLE_SECONDS = 4.0  # until new processes are idle
MICROSECONDS_PER_SECOND = 1_000_000
WAIT_TIMEOUT_SECONDS = 600


class Gifts:
    """Gifts of one organization with one endpoint."""

    def __init__(self, url: str) -> None:
        self._workload = Workload(users=5_000, fundraisers=5, emails=10_000)
        self._organization = Organization.create("Bench").id
        stored.store_workload(self._organization, self._workload)
        WebhookEndpoint.add(self._organization, url)
        self._stored = 0

    def store(self, many: int) -> None:
        """Store new gifts, which are due."""
        numbers = range(self._stored, self._stored + many)
        stored.store_due_gifts(self._organization, self._workload, numbers)
        self._stored += many


def measure_backlog(environment: dict[str, str], folder: Path, gifts: Gifts, many: int) -> str:
    """Deliver a backlog with one sender. Return the result for people."""
    gifts.store(many)
    with run_parts([build_worker_part(environment, folder)]):
        wait_until(is_settled, "the last gift", WAIT_TIMEOUT_SECONDS)
    with run_parts([build_sender_part(environment, folder)]) as running:
        wait_until(lambda: count_delivered() > 0, "the first event", WAIT_TIMEOUT_SECONDS)
        before, clock, begun = count_delivered(), read_sender(running), time.perf_counter()
        wait_until(is_delivered, "the last event", WAIT_TIMEOUT_SECONDS)
        sent, seconds = count_delivered() - before, time.perf_counter() - begun
        cost = (read_sender(running) - clock) * MICROSECONDS_PER_SECOND / sent
    return f"backlog: {sent / seconds:.0f} events/s, {cost:.0f} µs of the sender for each"


def measure_live(
    environment: dict[str, str], folder: Path, gifts: Gifts, rate: int, seconds: int
) -> str:
    """Settle gifts at a steady rate while one sender runs. Return the result for people."""
    first = ObjectId()
    worker = build_worker_part(environment, folder)
    with run_parts([worker, build_sender_part(environment, folder)]) as running:
        time.sleep(IDLE_SECONDS)
        clock, begun = read_sender(running), time.perf_counter()
        for step in range(1, int(seconds / STEP_SECONDS) + 1):
            gifts.store(int(rate * STEP_SECONDS))
            time.sleep(max(0.0, begun + step * STEP_SECONDS - time.perf_counter()))
        stored_in = time.perf_counter() - begun
        wait_until(is_settled, "the last gift", WAIT_TIMEOUT_SECONDS)
        settled_in = time.perf_counter() - begun
        wait_until(is_delivered, "the last event", WAIT_TIMEOUT_SECONDS)
        delivered_in = time.perf_counter() - begun
        many = int(rate * STEP_SECONDS) * int(seconds / STEP_SECONDS)
        cost = (read_sender(running) - clock) * MICROSECONDS_PER_SECOND / many
    lags = list_lags(first)
    return (
        f"live: {many / stored_in:.0f} gifts/s stored, {many / settled_in:.0f}/s settled, "
        f"{many / delivered_in:.0f}/s delivered, lag {statistics.median(lags):.2f} s, "
        f"99th percentile {statistics.quantiles(lags, n=100)[98]:.2f} s, "
        f"{cost:.0f} µs of the sender for each"
    )


def list_lags(first: ObjectId) -> list[float]:
    """Return the seconds from each event's settlement to the end of its last attempt."""
    query = {"_id": {"$gt": first}, "delivered_at": {"$type": "date"}}
    rows = get_db().event_deliveries.find(query, {"at": 1, "attempts": {"$slice": -1}})
    return [
        (row["attempts"][0]["at"] - row["at"]).total_seconds() + row["attempts"][0]["seconds"]
        for row in rows
    ]


def is_settled() -> bool:
    """Return whether no gift is due."""
    return get_db().donations.find_one({"due": {"$type": "date"}}) is None


def is_delivered() -> bool:
    """Return whether no event waits."""
    return get_db().event_deliveries.find_one({"next_attempt_at": {"$type": "date"}}) is None


def count_delivered() -> int:
    """Return the number of delivered events."""
    count: int = get_db().event_deliveries.count_documents({"delivered_at": {"$type": "date"}})
    return count


def build_worker_part(environment: dict[str, str], folder: Path) -> Part:
    """Return a worker."""
    return Part("worker", build_worker_command(), folder / "worker.log", environment)


def build_sender_part(environment: dict[str, str], folder: Path) -> Part:
    """Return a sender."""
    command = build_sender_command()
    return Part("sender", command, folder / "sender.log", environment)


def read_sender(running: Supervisor) -> float:
    """Return the processor time of the sender in seconds."""
    return read_clock(running.pids()["sender"])


@contextmanager
def run_receiver(folder: Path) -> Iterator[str]:
    """Run the fast receiver. Yield its URL."""
    port = find_free_port()
    command = [sys.executable, "-m", "tools.bench.fast_receiver", str(port)]
    part = Part("receiver", command, folder / "receiver.log", ready=lambda: is_listening(port))
    with run_parts([part]):
        yield f"http://{LOOPBACK_ADDRESS}:{port}/hook"


def main() -> None:
    """Print both results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--seconds", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, run_servers(Path(name)) as (started, uri):
        folder = Path(name)
        environment = {
            "MATCHBACK_MONGODB_URI": uri,
            "MATCHBACK_REDIS_URL": started.redis_url,
            "MATCHBACK_MASTER_KEYS": Fernet.generate_key().decode(),
            "MATCHBACK_WEBHOOK_PRIVATE_NETWORKS": "127.0.0.0/8",
        }
        with apply(environment), run_receiver(folder) as url:
            gifts = Gifts(url)
            print(measure_backlog(environment, folder, gifts, given.backlog), flush=True)  # noqa: T201
            print(  # noqa: T201
                measure_live(environment, folder, gifts, given.rate, given.seconds), flush=True
            )


@contextmanager
def apply(environment: dict[str, str]) -> Iterator[None]:
    """Use the same settings in this process."""
    os.environ.update(environment)
    get_settings.cache_clear()
    yield


if __name__ == "__main__":
    main()
