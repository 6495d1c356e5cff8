"""The naive design under the same workload, on one of four queues."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import redis

from service.local.servers import build_mongodb_uri
from service.local.supervisor import Supervisor
from tools.bench.naive import counting, import_queue
from tools.bench.processes import build_parts, run_parts
from tools.bench.progress import wait_for_drain
from tools.bench.workload import Workload
from tools.testbed.stack import Servers, wait_until

KILL_AFTER_SHARE = 0.3  # share of the work done before the kill


WorkersContext = Callable[..., AbstractContextManager[object]]


class Peer:
    """A queue's workers, with their own database and their own Redis database.

    Args:
        patience: seconds without progress after which the workers count as stopped.
    """

    def __init__(
        self, servers: Servers, name: str, workload: Workload, folder: Path, patience: float
    ) -> None:
        self.name = name
        self.workload = workload
        self.folder = folder
        self.patience = patience
        self.environment = build_naive_environment(servers, name)
        counting.use_servers(self.environment)
        self.queue = import_queue(name)

    def gifts(self, many: int) -> float:
        """Settle a backlog of this many gifts. Return gifts per second."""
        return self._settle(self._enqueue_gifts(many), "donations_count", self._workers)

    def events(self, many: int) -> float:
        """Settle a backlog of this many events. Return events per second."""
        return self._settle(self._enqueue_events(many), "opens clicks", self._workers)

    def lost(self, many: int) -> int:
        """Kill the workers partway through this many events. Return the error of the counters.

        One more event arrives after the kill. Without it, a killed worker could hold all remaining
        events, and the wait for progress would take minutes.
        """
        self._settle(self._enqueue_events(many) + 1, "opens clicks", self._killed_workers)
        counted = counting.read_totals()
        return abs(many + 1 - counted["opens"] - counted["clicks"])

    def _enqueue_gifts(self, many: int) -> int:
        self._empty()
        for number in range(many):
            self.queue.enqueue_gift(counting.save_donation(self.workload.gift(number)))
        return many

    def _enqueue_events(self, many: int) -> int:
        self._empty()
        for number in range(many):
            self.queue.enqueue_event(self.workload.event(number))
        return many

    def _empty(self) -> None:
        redis.Redis.from_url(self.environment["BENCH_REDIS_URL"]).flushdb()
        counting.store_naive_workload(self.workload)

    def _settle(self, many: int, fields: str, working: WorkersContext) -> float:
        def left() -> int:
            totals = counting.read_totals()
            return many - sum(totals[name] for name in fields.split())

        with working(left, many):
            return wait_for_drain(left, self.patience).rate

    @contextmanager
    def _workers(self, *_: object) -> Iterator[Supervisor]:
        workers = build_parts(self.name, self.queue.WORKERS, self.folder, self.environment)
        with run_parts(workers) as supervisor:
            yield supervisor

    @contextmanager
    def _killed_workers(self, left: Callable[[], int], many: int) -> Iterator[None]:
        """Run workers, kill them partway, and start new workers in their place."""
        with self._workers() as first:
            wait_until(lambda: left() < many * (1 - KILL_AFTER_SHARE), f"{self.name} works")
            for pid in first.pids().values():
                kill_process_tree(pid)
        self.queue.enqueue_event(self.workload.event(many))
        with self._workers():
            yield


def kill_process_tree(pid: int) -> None:
    """Send SIGKILL to a process and its children, as if the machine failed."""
    parent = psutil.Process(pid)
    for process in [parent, *parent.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # It can end by itself meanwhile.
            process.send_signal(signal.SIGKILL)


def build_naive_environment(servers: Servers, name: str) -> dict[str, str]:
    """Return the environment that gives a naive design its servers and its queue."""
    return {
        "BENCH_MONGODB_URI": build_mongodb_uri(servers.mongodb_port, "naive"),
        "BENCH_REDIS_URL": f"{servers.redis_url.rpartition('/')[0]}/1",
        "BENCH_QUEUE": name,
    }
