"""The measurements, in the order in which they run.

Contestants take turns, round by round, so that other work on the machine affects all of them.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from documents.storage.due_groups import count_due
from tools.bench import load, ours, peers
from tools.bench.figures import AT_LEAST, AT_MOST, Figure, build_ratio_figure, format_table
from tools.bench.load import LoadResult
from tools.bench.naive import QUEUE_NAMES, counting
from tools.bench.ours import CLIENT_COUNT, MeasuredStack
from tools.bench.peers import Peer, kill_process_tree
from tools.bench.processes import measure_memory, run_workers, run_wsgi
from tools.bench.workload import Workload
from tools.testbed.stack import NO_RATE_LIMITS, Servers, Stack, run_servers, run_stack, wait_until

LIMIT_APPLICATION = "tools.bench.limit:handler"
NAIVE_APPLICATION = "tools.bench.naive.web:handler"


@dataclass(frozen=True)
class BenchSize:
    """The amount of work in each measurement."""

    rounds: int = 5
    users: int = 40_000
    emails: int = 80_000
    requests: int = 4_000  # for each contestant in each round
    posts: int = 400
    big_posts: int = 40
    events: int = 100_000
    gifts: int = 20_000
    settlings: int = 3
    trickle: int = 100
    peer_events: int = 1_500
    peer_gifts: int = 750
    starts: int = 5
    patience: float = 10.0  # seconds
    queues: tuple[str, ...] = QUEUE_NAMES

    def workload(self, fundraisers: int = 20) -> Workload:
        return Workload(self.users, fundraisers, self.emails)


SHORT_SIZE = BenchSize(
    rounds=1,
    users=200,
    emails=400,
    requests=60,
    posts=4,
    big_posts=2,
    events=2_000,
    gifts=200,
    settlings=1,
    trickle=3,
    peer_events=8,  # rq starts a process for each
    peer_gifts=4,
    starts=1,
    patience=3.0,
    queues=QUEUE_NAMES[:2],
)


@dataclass
class Bench:
    """All figures so far."""

    size: BenchSize
    folder: Path
    figures: list[Figure] = field(default_factory=list)

    def run(self) -> None:
        """Measure everything."""
        with run_stack(self.folder / "twenty", NO_RATE_LIMITS, has_worker=False) as stack:
            self._twenty(stack, MeasuredStack(stack, self.size.workload()))
        with run_stack(self.folder / "hot", NO_RATE_LIMITS, has_worker=False) as stack:
            self._hot(MeasuredStack(stack, self.size.workload(fundraisers=1)))
        with run_servers(self.folder / "peers") as (servers, _):
            self._peers(servers)
        self._starts()

    def add(self, *figures: Figure) -> None:
        """Keep figures, and print them as they arrive."""
        self.figures += figures
        print(format_table(figures), flush=True)  # noqa: T201

    def _note(
        self,
        name: str,
        unit: str,
        values: list[float],
        bound: str = "",
        target: float | None = None,
    ) -> Figure:
        figure = Figure(name, unit, values, bound, target)
        self.add(figure)
        return figure

    def _twenty(self, stack: Stack, mine: MeasuredStack) -> None:
        """Measure requests, settling and memory with twenty fundraisers."""
        idle = self._donations(stack, mine)
        self._webhook(mine)
        self._settle_gifts(mine, "20 fundraisers")
        self._trickle(mine)
        self._queueing(mine)
        self._saturated(stack, mine, idle)
        off = mine.differences()
        self._note("incorrect counters after all measurements", "", [off], AT_MOST, 0)

    def _donations(self, stack: Stack, mine: MeasuredStack) -> Figure:
        contestants = ["limit", "inline", *self.size.queues]
        loads: dict[str, list[LoadResult]] = {name: [] for name in ["matchback", *contestants]}
        with ExitStack() as open_:
            urls = {}
            for name in contestants:
                told = peers.build_naive_environment(stack.servers, name)
                application = LIMIT_APPLICATION if name == "limit" else NAIVE_APPLICATION
                urls[name] = open_.enter_context(run_wsgi(application, self.folder, told))
            open_.callback(counting.close_client)
            counting.use_servers(peers.build_naive_environment(stack.servers, "inline"))
            counting.store_naive_workload(self.size.workload())
            for number in range(self.size.rounds):
                loads["matchback"].append(mine.gifts(self.size.requests))
                for name in contestants:
                    loads[name].append(self._bare(urls[name], number))
        rates = {
            name: self._note(f"POST donation, {name}", "requests/s", [one.rate for one in found])
            for name, found in loads.items()
        }
        own = rates.pop("matchback")
        self.add(
            build_ratio_figure("POST donation, to the limit", own, rates["limit"], AT_LEAST, 0.6)
        )
        for name in contestants[1:]:
            self.add(build_ratio_figure(f"POST donation, to naive {name}", own, rates[name]))
        found = loads["matchback"]
        p50 = self._note("POST donation, p50", "ms", [one.percentile(50) for one in found])
        p99 = self._note("POST donation, p99", "ms", [one.percentile(99) for one in found])
        self.add(build_ratio_figure("POST donation, p99 to p50", p99, p50, AT_MOST, 4.0))
        return p50

    def _bare(self, url: str, number: int) -> LoadResult:
        many = self.size.requests
        gifts = map(self.size.workload().gift, range(number * many, (number + 1) * many))
        requests = [load.build_request("/", json.dumps(gift).encode(), {}) for gift in gifts]
        done = load.apply_load(url, CLIENT_COUNT, iter(requests))
        assert set(done.statuses) == {201}, done.statuses
        return done

    def _webhook(self, mine: MeasuredStack) -> None:
        rounds = range(self.size.rounds)
        rates = [mine.posts(self.size.posts, 100).rate * 100 for _ in rounds]
        self._note("webhook, in posts of 100", "events/s", rates, AT_LEAST, 30_000)
        p50s = [mine.posts(self.size.big_posts, 1000, clients=1).percentile(50) for _ in rounds]
        self._note("webhook, a post of 1,000, p50", "ms", p50s, AT_MOST, 25)
        mine.settle("deliveries")

    def _settle_gifts(self, mine: MeasuredStack, what: str) -> None:
        rates = []
        for _ in range(self.size.settlings):
            due = count_due("donations")
            if due < self.size.gifts:
                mine.gifts(self.size.gifts - due)
            rates.append(mine.settle("donations"))
        self._note(f"settling donations, {what}", "gifts/s", rates, AT_LEAST, 2_500)

    def _trickle(self, mine: MeasuredStack) -> None:
        with run_workers(mine.stack, 1):
            mine.trickle(3, 0.1)  # the worker has started
            idle = LoadResult(seconds=mine.trickle(self.size.trickle, 0.1))
            mine.store_event_backlog(self.size.events)
            busy = LoadResult(seconds=mine.trickle(self.size.trickle, 0.1))
        self._note("from answer to counter, p50", "ms", [idle.percentile(50)], AT_MOST, 100)
        self._note("from answer to counter, p99", "ms", [idle.percentile(99)], AT_MOST, 1000)
        told = "from answer to counter, beside a backlog of events"
        self._note(f"{told}, p50", "ms", [busy.percentile(50)])
        self._note(f"{told}, p99", "ms", [busy.percentile(99)])

    def _queueing(self, mine: MeasuredStack) -> None:
        """Measure scheduling in a process that gets its servers as a web process does."""
        command = [sys.executable, "-m", "tools.bench.queueing", mine.alice.key]
        command += [str(self.size.rounds), str(self.size.requests // 10)]
        told = json.dumps(mine.stack.environment).encode()
        answer = subprocess.run(command, input=told, check=True, stdout=subprocess.PIPE)
        shares = json.loads(answer.stdout)
        self._note("queueing's part of a request", "%", shares, AT_MOST, 10)

    def _saturated(self, stack: Stack, mine: MeasuredStack, idle: Figure) -> None:
        """Measure requests and memory while a worker has more to settle than it can."""
        with run_workers(stack, 1) as running_workers:
            loads = []
            for _ in range(self.size.rounds):
                mine.store_event_backlog(self.size.events)
                loads.append(mine.gifts(self.size.requests))
            busy = Figure("POST donation, worker saturated, p50", "ms")
            busy.values = [one.percentile(50) for one in loads]
            rate = Figure("POST donation, worker saturated", "requests/s")
            rate.values = [one.rate for one in loads]
            self.add(
                rate, busy, build_ratio_figure("saturated to idle, p50", busy, idle, AT_MOST, 2.0)
            )
            web = measure_memory(stack.pid("web"))
            worker = max(measure_memory(pid) for pid in running_workers.pids().values())
        self._note("memory, web process", "MB", [web], AT_MOST, 90)
        self._note("memory, worker", "MB", [worker], AT_MOST, 130)

    def _hot(self, mine: MeasuredStack) -> None:
        """Measure one fundraiser with one mailing: all gifts increment the same records."""
        self._settle_gifts(mine, "1 fundraiser")
        rates: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(self.size.settlings):
            for many, found in rates.items():
                mine.store_event_backlog(self.size.events)
                found.append(mine.settle("deliveries", many) * 100)
        one = Figure("settling events, hot mailing", "events/s", rates[1], AT_LEAST, 10_000)
        two = Figure("settling events, hot mailing, 2 workers", "events/s", rates[2])
        self.add(one, two, build_ratio_figure("two workers to one", two, one, AT_LEAST, 1.0))
        self._killed(mine)

    def _killed(self, mine: MeasuredStack) -> None:
        """Kill a worker partway, and check that every counter is correct."""
        mine.store_event_backlog(self.size.events)
        due: Callable[[], int] = lambda: count_due("deliveries")  # noqa: E731
        total = due()
        with run_workers(mine.stack, 1) as first:
            wait_until(lambda: due() < total, "the worker works")
            kill_process_tree(first.pids()["worker0"])
        off = mine.differences()
        counted = mine.totals()
        lost = mine.posted_events - counted["opens"] - counted["clicks"]
        self._note("events lost or twice after a kill, matchback", "", [abs(lost)], AT_MOST, 0)
        self._note("incorrect counters after a kill", "", [off], AT_MOST, 0)

    def _peers(self, servers: Servers) -> None:
        own = {figure.name: figure.median for figure in self.figures}
        settled: dict[str, list[Figure]] = {"events": [], "gifts": []}
        for name in self.size.queues:
            peer = Peer(
                servers, name, self.size.workload(fundraisers=1), self.folder, self.size.patience
            )
            rounds = range(self.size.settlings)
            events = [peer.events(self.size.peer_events) for _ in rounds]
            gifts = [peer.gifts(self.size.peer_gifts) for _ in rounds]
            settled["events"].append(self._note(f"settling events, {name}", "events/s", events))
            settled["gifts"].append(self._note(f"settling donations, {name}", "gifts/s", gifts))
            lost = peer.lost(self.size.peer_events)
            self._note(f"events lost or twice after a kill, {name}", "", [lost])
        counting.close_client()
        for what, mine, times in (
            ("events", "settling events, hot mailing", 8.0),
            ("gifts", "settling donations, 1 fundraiser", 3.0),
        ):
            best = max(settled[what], key=lambda figure: figure.median)
            told = f"settled {what}, to the best peer ({best.name.split()[-1]})"
            self._note(told, "×", [own[mine] / best.median], AT_LEAST, times)

    def _starts(self) -> None:
        starts = [ours.measure_start() for _ in range(self.size.starts)]
        self._note("`matchback up`, until it is ready", "s", starts, AT_MOST, 4)
        for module in ("service.app", "jobs.worker"):
            took = ours.measure_imports(module, self.size.starts)
            self._note(f"importing {module}", "s", took, AT_MOST, 1)
