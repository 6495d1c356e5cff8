"""What open dashboards cost while nothing happens, and how soon they hear of what does.

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
MAX_CORE_PERCENT, MAX_CHANGE_MILLISECONDS = (
    5,
    1500,
)  # of a core; of the two seconds, the rest is fetching
CHANGE_PAUSE_SECONDS = 0.73  # so that changes fall into every part of a tick
WARM_UP_SECONDS = 3


def open_session(organization_id: ObjectId) -> dict[str, str]:
    """The headers of somebody of the organization who has signed in."""
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
    """Percent of one core, over so many seconds."""
    time.sleep(WARM_UP_SECONDS)
    before, begun = CpuUse.measure_total(stack), time.monotonic()
    time.sleep(seconds)
    after, took = CpuUse.measure_total(stack), time.monotonic() - begun
    return CpuUse(
        100 * (after.web - before.web) / took, 100 * (after.mongod - before.mongod) / took
    )


class Dashboards:
    """Open streams; a thread reads what they are told, and counts the changes."""

    def __init__(self) -> None:
        self.changes = self.beats = 0
        self.heard_at = 0.0
        self._selector = selectors.DefaultSelector()
        self._greeted = 0

    def open(self, stack: Stack, headers: dict[str, str], watch: str) -> socket.socket:
        """One more."""
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
        """Until the process ends."""
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
    """So many open ones, each somebody else's."""
    opened = Dashboards()
    with ExitStack() as held:
        for _ in range(number):
            held.enter_context(opened.open(stack, open_session(organization_id), watch))
        threading.Thread(target=opened.listen, daemon=True).start()
        yield opened


def measure_latencies(opened: Dashboards, number: int, fundraiser: ObjectId) -> list[float]:
    """Milliseconds from a counter's change until the last dashboard has heard of it."""
    took = []
    for count in range(1, CHANGE_COUNT + 1):
        time.sleep(CHANGE_PAUSE_SECONDS)
        begun = time.perf_counter()
        get_db().fundraisers.update_one({"_id": fundraiser}, {"$inc": {"donations_count": 1}})
        wait_until(lambda: opened.changes >= number * count, "all have heard")  # noqa: B023
        took.append((opened.heard_at - begun) * 1000)
    return took


def create_watched_records(organization_id: ObjectId) -> tuple[ObjectId, str]:
    """A fundraiser, and what its page watches: it, and ten mailings."""
    owned = {"organization_id": organization_id, "donations_count": 0}
    spring = get_db().fundraisers.insert_one({**owned}).inserted_id
    mailings = [get_db().mailings.insert_one({**owned}).inserted_id for _ in range(10)]
    return spring, ",".join([f"fundraisers:{spring}", *(f"mailings:{id_}" for id_ in mailings)])


def measure_idle_cost(stack: Stack, number: int, seconds: float) -> bool:
    """Print what it costs. Returns whether it is as little, and as soon, as promised."""
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
        f"{CHANGE_COUNT} changes: all have heard after {statistics.median(took):.0f} ms (median), "
        f"{max(took):.0f} ms (longest)"
    )
    return more <= MAX_CORE_PERCENT and max(took) <= MAX_CHANGE_MILLISECONDS


def main() -> int:
    """Exit code 1 when it costs more than five percent of a core, or a page hears late."""
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
