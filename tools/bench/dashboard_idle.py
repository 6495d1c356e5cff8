"""Measure what idle dashboards cost, and how soon they receive changes.

python -m tools.bench.dashboard_idle --dashboards 100 --seconds 20
"""

import argparse
import selectors
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from bson import ObjectId
from mongoengine import get_db

from documents.access.staff import Staff
from documents.access.staff_session import StaffSession
from documents.organization import Organization
from service.dashboard.cookies import SESSION_COOKIE
from tools.testbed.stack import NO_RATE_LIMITS, Stack, run_stack, wait_until

CHANGE_COUNT = 20
MAX_CORE_PERCENT, MAX_CHANGE_MILLISECONDS = 5, 1500  # of a core
CHANGE_PAUSE_SECONDS = 0.73  # so that changes fall into every part of a tick
WARM_UP_SECONDS = 3


def open_session(organization_id: ObjectId) -> dict[str, str]:
    """Sign in a staff member of the organization, and return the request headers."""
    staff = Staff.add(organization_id, "Alice", f"{ObjectId()}@example.edu", "viewer")
    return {"Cookie": f"{SESSION_COOKIE}={StaffSession.begin(staff)}"}


@dataclass
class CpuUse:
    """CPU seconds of all web processes, and of mongod."""

    web: float
    mongod: float

    @classmethod
    def measure_total(cls, stack: Stack) -> "CpuUse":
        master = psutil.Process(stack.pid("web"))
        web = [master, *master.children(recursive=True)]
        mongod = psutil.Process(stack.servers.pid("MongoDB"))
        return cls(sum(map(measure_cpu_seconds, web)), measure_cpu_seconds(mongod))


def measure_cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def measure_cpu_use(stack: Stack, seconds: float) -> CpuUse:
    """Return the CPU use over this many seconds, in percent of one core."""
    time.sleep(WARM_UP_SECONDS)
    before, begun = CpuUse.measure_total(stack), time.monotonic()
    time.sleep(seconds)
    after, took = CpuUse.measure_total(stack), time.monotonic() - begun
    return CpuUse(
        100 * (after.web - before.web) / took, 100 * (after.mongod - before.mongod) / took
    )


class Dashboards:
    """Open streams. A thread reads their events and counts the changes."""

    def __init__(self) -> None:
        self.changes = self.beats = 0
        self.heard_at = 0.0
        self._selector = selectors.DefaultSelector()
        self._greeted = 0

    def open(self, stack: Stack, headers: dict[str, str], watch: str) -> socket.socket:
        """Open one more stream."""
        place = urlsplit(stack.url)
        lines = [f"GET /dashboard/live?watch={watch} HTTP/1.1", f"Host: {place.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        opened = socket.create_connection((place.hostname or "", place.port or 0), timeout=10)
        opened.sendall("\r\n".join([*lines, "", ""]).encode())
        read = b""
        while b"event: hello" not in read:
            more = opened.recv(65536)
            assert more, read
            read += more
        opened.setblocking(False)
        self._selector.register(opened, selectors.EVENT_READ)
        return opened

    def listen(self) -> None:
        """Read events until the process ends."""
        while True:
            for key, _ in self._selector.select(1):
                assert isinstance(key.fileobj, socket.socket)
                read = key.fileobj.recv(65536)
                assert read, "a stream has ended"
                self.beats += read.count(b"event: beat")
                if b"event: changed" in read:
                    self.heard_at = time.perf_counter()
                    self.changes += read.count(b"event: changed")


@contextmanager
def open_dashboards(
    stack: Stack, number: int, organization_id: ObjectId, watch: str
) -> Iterator[Dashboards]:
    """Open this many dashboards, each with a session of its own."""
    opened = Dashboards()
    with ExitStack() as held:
        for _ in range(number):
            held.enter_context(opened.open(stack, open_session(organization_id), watch))
        threading.Thread(target=opened.listen, daemon=True).start()
        yield opened


def measure_latencies(opened: Dashboards, number: int, fundraiser: ObjectId) -> list[float]:
    """Return the milliseconds from each counter's change until the last dashboard receives it."""
    took = []
    for count in range(1, CHANGE_COUNT + 1):
        time.sleep(CHANGE_PAUSE_SECONDS)
        begun = time.perf_counter()
        get_db().fundraisers.update_one({"_id": fundraiser}, {"$inc": {"donations_count": 1}})
        wait_until(lambda: opened.changes >= number * count, "all dashboards updated")  # noqa: B023
        took.append((opened.heard_at - begun) * 1000)
    return took


def create_watched_records(organization_id: ObjectId) -> tuple[ObjectId, str]:
    """Create a fundraiser with ten mailings, and return the `watch` value of its page."""
    owned = {"organization_id": organization_id, "donations_count": 0}
    spring = get_db().fundraisers.insert_one({**owned}).inserted_id
    mailings = [get_db().mailings.insert_one({**owned}).inserted_id for _ in range(10)]
    return spring, ",".join([f"fundraisers:{spring}", *(f"mailings:{id_}" for id_ in mailings)])


def measure_idle_cost(stack: Stack, number: int, seconds: float) -> bool:
    """Print the costs. Return whether CPU use and delay stay within their limits."""
    organization_id = Organization.create("Idle University").id
    spring, watch = create_watched_records(organization_id)
    none = measure_cpu_use(stack, seconds)
    with open_dashboards(stack, number, organization_id, watch) as opened:
        some = measure_cpu_use(stack, seconds)
        took = measure_latencies(opened, number, spring)
    for name, use in (("no dashboard", none), (f"{number} dashboards", some)):
        print(f"{name:>15}: web {use.web:.2f} %, mongod {use.mongod:.2f} % of a core")  # noqa: T201
    more = some.web - none.web
    print(f"{'more':>15}: web {more:.2f} %, mongod {some.mongod - none.mongod:.2f} %")  # noqa: T201
    print(  # noqa: T201
        f"{CHANGE_COUNT} changes: all updated after {statistics.median(took):.0f} ms (median), "
        f"{max(took):.0f} ms (longest)"
    )
    return more <= MAX_CORE_PERCENT and max(took) <= MAX_CHANGE_MILLISECONDS


def main() -> int:
    """Return 1 if the dashboards use more than five percent of a core, or receive changes late."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dashboards", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        run_stack(Path(folder), {**NO_RATE_LIMITS, "MATCHBACK_WEB_WORKERS": "2"}) as stack,
    ):
        return int(not measure_idle_cost(stack, asked.dashboards, asked.seconds))


if __name__ == "__main__":
    sys.exit(main())
