"""Measure the processor time of one POST /v1/donations, in the web processes and in MongoDB.

The contestants take turns: this service, another checkout, and the bare handler of `limit.py` on
gunicorn's own threads and on this project's server. Processor time excludes waiting, so other
programs may share the machine: `python -m tools.bench.request_cost --before ../main`.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from config.settings import get_settings
from documents.access.api_key import ApiKey
from documents.organization import Organization
from service.local import servers
from service.local.supervisor import Part
from tools.bench import load, stored
from tools.bench.processes import build_wsgi_command, is_listening, run_parts
from tools.bench.scenarios import LIMIT_APPLICATION
from tools.bench.workload import Workload
from tools.testbed.readme import ROOT
from tools.testbed.stack import NO_RATE_LIMITS, run_servers, wait_until

CLIENT_COUNT = 16
WORKLOAD = Workload(users=2_000, fundraisers=20, emails=4_000)
GIFT_PATH = "/v1/donations"
LIMIT_ON_SERVER = "tools.bench.limit:start()"
MICROSECONDS_PER_SECOND = 1_000_000
SCHEDULER_CLOCK = 2  # from Linux's include/linux/posix-timers.h


@dataclass
class Contestant:
    """A running service. `costs` are microseconds of a processor for each request."""

    name: str
    path: str
    port: int
    parent: psutil.Process
    headers: dict[str, str]
    costs: dict[str, list[float]] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)

    def measure(self, databases: dict[str, int], first: int, requests: int) -> None:
        """POST gifts, and note what each process spent."""
        gifts = map(WORKLOAD.gift, range(first, first + requests))
        messages = [
            load.build_request(self.path, json.dumps(gift).encode(), self.headers) for gift in gifts
        ]
        before = self._read_clocks(databases)
        url = f"http://{servers.LOOPBACK_ADDRESS}:{self.port}"
        done = load.apply_load(url, CLIENT_COUNT, iter(messages))
        after = self._read_clocks(databases)
        assert set(done.statuses) == {201}, done.statuses
        for name, seconds in after.items():
            cost = (seconds - before[name]) * MICROSECONDS_PER_SECOND / requests
            self.costs.setdefault(name, []).append(cost)
        self.rates.append(done.rate)

    def _read_clocks(self, databases: dict[str, int]) -> dict[str, float]:
        web = sum(read_clock(one.pid) for one in self.parent.children())
        return {"web": web} | {name: read_clock(pid) for name, pid in databases.items()}


def read_clock(pid: int) -> float:
    """Return the processor seconds of a process, in nanoseconds. `/proc` has steps of 10 ms.

    The PID gives the ID of the process's clock, as in glibc's clock_getcpuclockid.
    """
    return time.clock_gettime((~pid << 3) | SCHEDULER_CLOCK)


def build_service_command(checkout: Path, *application: str) -> list[str]:
    """Return the command of a checkout's web server, with another application if given."""
    python = str(checkout / ".venv/bin/python")
    gunicorn = ["-m", "gunicorn", "-c", "gunicorn.conf.py", *application]
    return ["env", "--chdir", str(checkout), python, *gunicorn]


@contextmanager
def run_contestants(before: Path | None) -> Iterator[tuple[list[Contestant], dict[str, int]]]:
    """Start everything on one MongoDB. Yield the contestants, and the PIDs of the databases."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as open_:
        folder = Path(name)
        started, uri = open_.enter_context(run_servers(folder))
        environment = {**NO_RATE_LIMITS, "MATCHBACK_MONGODB_URI": uri, "BENCH_MONGODB_URI": uri}
        environment |= dict.fromkeys(("MATCHBACK_REDIS_URL", "BENCH_REDIS_URL"), started.redis_url)
        headers = {"Authorization": f"Bearer {store_records()}"}

        def start(name: str, path: str, build: Callable[[int], list[str]]) -> Contestant:
            port = servers.find_free_port()
            told = environment | {"MATCHBACK_PORT": str(port)}
            ready = partial(is_listening, port)
            part = Part(name, build(port), folder / f"{name}.log", told, ready=ready)
            parent = psutil.Process(open_.enter_context(run_parts([part])).pids()[name])
            wanted = get_settings().web_workers
            wait_until(lambda: len(parent.children()) == wanted, "the web processes")
            return Contestant(name, path, port, parent, headers)

        found = [start("now", GIFT_PATH, lambda port: build_service_command(ROOT))]
        if before is not None:
            found.append(start("before", GIFT_PATH, lambda port: build_service_command(before)))
        own = build_service_command(ROOT, LIMIT_ON_SERVER)
        found.append(start("limit, this server", "/", lambda port: own))
        found.append(start("limit", "/", partial(build_wsgi_command, LIMIT_APPLICATION)))
        yield found, {"mongod": started.pid("MongoDB"), "redis": started.pid("Redis")}


def store_records() -> str:
    """Store an organization with the workload. Return its API key."""
    organization = Organization.create("Cost")
    stored.store_workload(organization.id, WORKLOAD)
    return ApiKey.issue(organization.id, "cost", ["write"])[1]


def format_costs(found: list[Contestant]) -> str:
    """Return a table with the median of each cost and of the rate, and the range of `web`."""
    lines = [f"| µs for each request | {' | '.join(found[0].costs)} | range of web | requests/s |"]
    lines += ["| --- " * (len(found[0].costs) + 3) + "|"]
    for one in found:
        medians = [f"{statistics.median(values):.0f}" for values in one.costs.values()]
        rate = statistics.median(one.rates)
        spread = f"{min(one.costs['web']):.0f} to {max(one.costs['web']):.0f}"
        lines.append(f"| {one.name} | {' | '.join(medians)} | {spread} | {rate:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Print the costs of each contestant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="another checkout, with its own .venv")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1_500, help="for each contestant a round")
    given = parser.parse_args()
    before = given.before and given.before.resolve()
    with run_contestants(before) as (found, databases):
        for number in range(given.rounds + 1):
            for place, one in enumerate(found):
                first = (number * len(found) + place) * given.requests
                one.measure(databases, first, given.requests)
                if number == 0:
                    one.costs, one.rates = {}, []  # the first round warms up
    print(format_costs(found))  # noqa: T201


if __name__ == "__main__":
    main()
