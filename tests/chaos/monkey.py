"""The monkey: kills, pauses and disturbs, by a seed, one thing after the other."""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable

from tests.chaos.cluster import WEBS, WORKERS, Cluster

LONGEST_PAUSE_SECONDS = 4.0


class Monkey(threading.Thread):
    """Does something every second or so, until told to stop; then everything is let go on."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        super().__init__(name="monkey", daemon=True)
        self.cluster = cluster
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
            (2, lambda: self._signal("Redis", signal.SIGKILL, "Redis killed")),
            (2, lambda: self._pause("Redis", "Redis paused")),
            (1, self._flush),
            (2, lambda: self._signal(self.cluster.primary(), signal.SIGKILL, "primary killed")),
            (1, lambda: self._pause(self.cluster.primary(), "primary paused")),
            (2, self._step_down),
            (4, self._drop_replies),
        ]
        weights, actions = zip(*deeds, strict=True)
        while not self._stopping.wait(self._chance.uniform(0.2, 1.2)):
            self._chance.choices(actions, weights)[0]()

    def stop(self) -> None:
        """Disturb no more."""
        self._stopping.set()
        self.join()

    def _web(self) -> str:
        return f"web {self._chance.randrange(WEBS)}"

    def _worker(self) -> str:
        return f"worker {self._chance.randrange(WORKERS)}"

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

    def _pause(self, name: str | None, deed: str) -> None:
        pid = self.cluster.pid(name) if name else None
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGSTOP)
            self.done[deed] += 1
            self._stopping.wait(self._chance.uniform(0.5, LONGEST_PAUSE_SECONDS))
            os.killpg(pid, signal.SIGCONT)

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
