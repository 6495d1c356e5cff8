"""Matchback under the workload: requests, settling, latency, memory, and start."""

import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bson import ObjectId
from mongoengine import get_db

from documents.recount import recount
from documents.storage.due_groups import count_due
from service.local.servers import find_free_port
from tools.bench import load, stored
from tools.bench.load import LoadResult
from tools.bench.processes import run_workers
from tools.bench.progress import wait_for_drain
from tools.bench.workload import Workload
from tools.testbed.cast import University, create_university, sign_webhook
from tools.testbed.stack import Stack, wait_until

CLIENT_COUNT = 16
LATENCY_POLL_SECONDS = 0.001


class MeasuredStack:
    """A stack without a worker, and with the workload in its database."""

    def __init__(self, stack: Stack, workload: Workload) -> None:
        self.stack = stack
        self.workload = workload
        self.alice: University = create_university("Bench", stack.api())
        self.alice.set_webhook_key()
        self.organization_id = ObjectId(self.alice.id)
        stored.store_workload(self.organization_id, workload)
        self._gifts = 0
        self.posted_events = 0

    def gifts(self, many: int, clients: int = CLIENT_COUNT) -> LoadResult:
        """POST this many new gifts, and assert that the service responds 201 to each."""
        first, self._gifts = self._gifts, self._gifts + many
        headers = {"Authorization": f"Bearer {self.alice.key}"}
        requests = [
            load.build_request("/v1/donations", json.dumps(self.workload.gift(n)).encode(), headers)
            for n in range(first, first + many)
        ]
        return self._all(201, self.stack.url, clients, iter(requests))

    def posts(self, many: int, events: int, clients: int = CLIENT_COUNT) -> LoadResult:
        """Send this many webhook posts, each with this many events."""
        return self._all(202, self.stack.url, clients, iter(list(self._signed(many, events))))

    def _signed(self, many: int, events: int) -> Iterator[bytes]:
        first, self.posted_events = self.posted_events, self.posted_events + many * events
        path = f"/v1/webhooks/sendgrid/{self.alice.id}"
        for number in range(many):
            start = first + number * events
            told = [self.workload.event(index) for index in range(start, start + events)]
            body = json.dumps(told).encode()
            yield load.build_request(path, body, sign_webhook(self.alice.signing_key, body))

    def _all(self, status: int, url: str, clients: int, requests: Iterator[bytes]) -> LoadResult:
        done = load.apply_load(url, clients, requests)
        assert set(done.statuses) == {status}, done.statuses
        return done

    def store_event_backlog(self, many: int) -> None:
        """Store new events as the webhook does."""
        first, rest = divmod(self.posted_events, 100)
        assert not rest
        self.posted_events += many
        posts = range(first, first + many // 100)
        stored.store_deliveries(self.organization_id, self.workload, posts)

    def settle(self, collection: str, many_workers: int = 1) -> float:
        """Start workers, settle all due records of a collection, and return records per second.

        For `deliveries`, the rate counts deliveries of a hundred events each.
        """
        with run_workers(self.stack, many_workers):
            drained = wait_for_drain(lambda: count_due(collection))
        assert drained.left == 0
        return drained.rate

    def trickle(self, many: int, seconds: float) -> list[float]:
        """POST gifts one by one.

        Return the seconds from each response until the gift is counted.
        """
        waited = []
        for _ in range(many):
            begun = time.perf_counter()
            self.gifts(1, clients=1)
            waited.append(self._until_counted())
            time.sleep(max(0.0, begun + seconds - time.perf_counter()))
        return waited

    def _until_counted(self) -> float:
        answered = time.perf_counter()
        while count_due("donations", limit=1):
            time.sleep(LATENCY_POLL_SECONDS)
        return time.perf_counter() - answered

    def differences(self) -> int:
        """Settle what is due, and return how many counters are incorrect."""
        with run_workers(self.stack, 1):
            wait_until(lambda: not stored.has_due_rows("donations", "deliveries"), "settled", 600)
        return len(list(recount.find_drifts()))

    def totals(self) -> dict[str, int]:
        """Return the sums of all fundraisers' counters."""
        found = list(get_db().fundraisers.find())
        return {
            "donations_count": sum(row.get("donations_count") or 0 for row in found),
            "raised": sum((row.get("raised") or {}).get("USD", 0) for row in found),
            "opens": sum((row.get("funnel") or {}).get("opens", 0) for row in found),
            "clicks": sum((row.get("funnel") or {}).get("clicks", 0) for row in found),
        }


def measure_start() -> float:
    """Return the seconds that `matchback up` needs on an empty folder to report readiness."""
    with tempfile.TemporaryDirectory(prefix="bench-up") as folder:
        matchback = str(Path(sys.executable).with_name("matchback"))
        command = [matchback, "up", "--no-demo", "--data", folder, "--port", str(find_free_port())]
        begun = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            next(line for line in process.stdout if re.search(r"\bready\b", line))
            took = time.perf_counter() - begun
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        return took


def measure_imports(module: str, runs: int) -> list[float]:
    """Return the seconds that importing a module takes, without the start of Python.

    As in the web process and the worker, the garbage collector is off meanwhile.
    """

    def one(code: str) -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - begun

    nothing = statistics.median(one("pass") for _ in range(runs))
    return [one(f"import gc; gc.disable(); import {module}") - nothing for _ in range(runs)]
