"""The monkey: it kills, pauses and disturbs one part after another, in an order set by a seed."""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable

from tools.chaos.cluster import NODE_COUNT, SENDER_COUNT, WEB_COUNT, WORKER_COUNT, Cluster
from tools.chaos.hostile import ATTACKS
from tools.chaos.receiver import ChaosReceiver
from tools.testbed.cast import University

MAX_PAUSE_SECONDS = 4.0
MAX_DATABASE_PAUSE_SECONDS = 6.0
# MongoDB runs for a fifth of the time while it is slow.
STOPPED_SECONDS, RUNNING_SECONDS = 0.08, 0.02


class Monkey(threading.Thread):
    """A thread that causes a fault every second or so until it stops, and then ends all faults."""

    def __init__(
        self, cluster: Cluster, place: University, receiver: ChaosReceiver, seed: int
    ) -> None:
        super().__init__(name="monkey", daemon=True)
        self.cluster = cluster
        self.place = place
        self.receiver = receiver
        self.findings: list[str] = []  # incorrect responses to hostile clients
        self._attacks: list[threading.Thread] = []
        self.done: Counter[str] = Counter()
        self._chance = random.Random(seed)
        self._stopping = threading.Event()

    def run(self) -> None:
        deeds: list[tuple[int, Callable[[], None]]] = [
            (4, lambda: self._signal(self._web(), signal.SIGKILL, "web killed")),
            (4, lambda: self._signal(self._worker(), signal.SIGKILL, "worker killed")),
            (3, lambda: self._signal(self._web(), signal.SIGTERM, "web stopped")),
            (3, lambda: self._signal(self._worker(), signal.SIGTERM, "worker stopped")),
            (1, lambda: self._pause(self._web(), "web paused")),
            (2, lambda: self._pause(self._worker(), "worker paused")),
            (2, lambda: self._signal(self._sender(), signal.SIGKILL, "sender killed")),
            (2, lambda: self._signal(self._sender(), signal.SIGTERM, "sender stopped")),
            (1, lambda: self._pause(self._sender(), "sender paused")),
            (2, self._stop_receiver),
            (2, lambda: self._signal("Redis", signal.SIGKILL, "Redis killed")),
            (2, lambda: self._pause("Redis", "Redis paused")),
            (1, self._flush),
            (2, lambda: self._signal(self.cluster.primary(), signal.SIGKILL, "primary killed")),
            (2, lambda: self._pause_database(self.cluster.primary(), "primary paused")),
            (1, lambda: self._pause_database(self._node(), "node paused")),
            (2, lambda: self._slow(self.cluster.primary(), "primary slow")),
            (1, self._fill_disk),
            (4, self._attack),
            (2, self._step_down),
            (4, self._drop_replies),
        ]
        weights, actions = zip(*deeds, strict=True)
        while not self._stopping.wait(self._chance.uniform(0.2, 1.2)):
            self._chance.choices(actions, weights)[0]()

    def stop(self) -> None:
        """Cause no more faults."""
        self._stopping.set()
        self.join()
        for attack in self._attacks:
            attack.join()

    def _web(self) -> str:
        return f"web {self._chance.randrange(WEB_COUNT)}"

    def _worker(self) -> str:
        return f"worker {self._chance.randrange(WORKER_COUNT)}"

    def _sender(self) -> str:
        return f"sender {self._chance.randrange(SENDER_COUNT)}"

    def _stop_receiver(self) -> None:
        """Stop the receiver, which stays down during the next faults."""
        self.done["receiver down"] += 1
        seconds = self._chance.uniform(0.5, MAX_PAUSE_SECONDS)
        outage = threading.Thread(target=self.receiver.go_down, args=(seconds,), daemon=True)
        self._attacks.append(outage)
        outage.start()

    def _signal(self, name: str | None, how: signal.Signals, deed: str) -> None:
        pid = self.cluster.pid(name) if name else None
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if how == signal.SIGKILL:
                os.killpg(pid, how)
            else:
                os.kill(pid, how)
            self.done[deed] += 1

    def _pause(
        self,
        name: str | None,
        deed: str,
        shortest: float = 0.5,
        longest: float = MAX_PAUSE_SECONDS,
    ) -> None:
        pid = self.cluster.pid(name) if name else None
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGSTOP)
            self.done[deed] += 1
            self._stopping.wait(self._chance.uniform(shortest, longest))
            os.killpg(pid, signal.SIGCONT)

    def _node(self) -> str:
        return f"MongoDB {self._chance.randrange(NODE_COUNT)}"

    def _pause_database(self, name: str | None, deed: str) -> None:
        self._pause(name, deed, 1.0, MAX_DATABASE_PAUSE_SECONDS)

    def _slow(self, name: str | None, deed: str) -> None:
        """Pause and resume a process many times a second."""
        pid = self.cluster.pid(name) if name else None
        if pid is None:
            return
        self.done[deed] += 1
        deadline = time.monotonic() + self._chance.uniform(2, 5)
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < deadline and not self._stopping.is_set():
                os.killpg(pid, signal.SIGSTOP)
                time.sleep(STOPPED_SECONDS)
                os.killpg(pid, signal.SIGCONT)
                time.sleep(RUNNING_SECONDS)

    def _fill_disk(self) -> None:
        """Fill the disk. MongoDB may abort; the cluster restarts it."""
        disk = self.cluster.disk
        try:
            self.done["disk filled"] += disk.fill()
            if disk.is_mounted:
                self._stopping.wait(self._chance.uniform(1, 4))
        finally:
            disk.free()

    def _attack(self) -> None:
        """Run a hostile client, which continues during the next faults."""
        name = self._chance.choice(list(ATTACKS))
        url, seed = self._chance.choice(self.cluster.urls), self._chance.random()
        self.done[name] += 1

        def run() -> None:
            self.findings += ATTACKS[name](url, self.place, random.Random(seed))

        self._attacks.append(threading.Thread(target=run, name=name, daemon=True))
        self._attacks[-1].start()

    def _flush(self) -> None:
        self.done["Redis emptied"] += self.cluster.flush_redis()

    def _step_down(self) -> None:
        self.done["primary stepped down"] += self.cluster.step_down()

    def _drop_replies(self) -> None:
        proxy = self._chance.choice(self.cluster.proxies)
        before, proxy.drop_share = proxy.dropped, 0.5
        time.sleep(self._chance.uniform(0.2, 1.0))
        proxy.drop_share = 0.0
        self.done["replies dropped"] += proxy.dropped - before
