"""Measure the time that each part of a request, of a gift's job and of an event's job takes.

Everything runs in one process and one thread, so that times add up. PyMongo's monitoring reports
how long each command to MongoDB takes. The rest is Python's time. The result is anatomy.svg.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from falcon import testing
from pymongo import monitoring

from config import memory
from documents.storage.due_groups import count_due
from jobs.sweep import sweep_due_records
from service.app import create_app
from tools.bench import figures
from tools.bench.ours import MeasuredStack
from tools.bench.workload import Workload
from tools.testbed.stack import NO_RATE_LIMITS, run_stack

PYTHON_PART = "Python"
SMALL_SHARE = 0.04  # the picture combines parts below this share


class CommandTimes(monitoring.CommandListener):
    """Durations of MongoDB's commands, by command and collection, in microseconds."""

    def __init__(self) -> None:
        self.took: Counter[str] = Counter()
        self.names: dict[int, str] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        named = event.command.get(event.command_name)
        what = f" {named}" if isinstance(named, str) else ""
        self.names[event.request_id] = event.command_name + what

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        self.took[self.names.pop(event.request_id)] += event.duration_micros

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        self.took[self.names.pop(event.request_id)] += event.duration_micros


def measure_parts(commands: CommandTimes, work: Callable[[], Any], many: int) -> dict[str, float]:
    """Return the microseconds for one item, by part, in descending order."""
    commands.took.clear()
    begun = time.perf_counter()
    work()
    whole = (time.perf_counter() - begun) * 1e6
    told = dict(commands.took) | {PYTHON_PART: whole - sum(commands.took.values())}
    parts = {name: took / many for name, took in Counter(told).most_common()}
    rest = sum(took for took in parts.values() if took < SMALL_SHARE * whole / many)
    parts = {name: took for name, took in parts.items() if took >= SMALL_SHARE * whole / many}
    return parts | {"other commands": rest}


def settle_backlog() -> None:
    """Settle everything that is due, in this thread."""
    while sweep_due_records():
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("build/bench"))
    given = parser.parse_args()
    memory.tune_collector()  # as the services do
    commands = CommandTimes()
    monitoring.register(commands)
    with (
        tempfile.TemporaryDirectory(prefix="bench-anatomy") as folder,
        run_stack(Path(folder), NO_RATE_LIMITS, has_worker=False) as stack,
    ):
        mine = MeasuredStack(stack, Workload(fundraisers=1))
        bars = {
            "POST of a gift": measure_parts(commands, lambda: _requests(mine, 1000), 1000),
            "settling a gift": measure_parts(commands, settle_backlog, 1000),
        }
        mine.gifts(5000)
        bars["settling a gift of a backlog"] = measure_parts(commands, settle_backlog, 5000)
        mine.store_event_backlog(50_000)
        bars["counting an event of a backlog"] = measure_parts(commands, settle_backlog, 50_000)
        assert not count_due("donations")
    for bar, parts in bars.items():
        told = ", ".join(f"{name} {took:.0f}" for name, took in parts.items())
        print(f"{bar}: {sum(parts.values()):.0f} µs ({told})")  # noqa: T201
    given.results.mkdir(parents=True, exist_ok=True)
    figures.draw_parts(given.results / "anatomy.svg", "Time by part", bars, "µs of one")


def _requests(mine: MeasuredStack, many: int) -> None:
    client = testing.TestClient(create_app())
    headers = {"Authorization": f"Bearer {mine.alice.key}", "Content-Type": "application/json"}
    for number in range(20_000_000, 20_000_000 + many):
        body = json.dumps(mine.workload.gift(number)).encode()
        answer = client.simulate_post("/v1/donations", body=body, headers=headers)
        assert answer.status_code == 201, answer.text


if __name__ == "__main__":
    main()
