"""Measure what outgoing events cost settling: without the hook, without an endpoint, and with one.

The modes take turns in one process, so that other work on the machine slows all of them. The ratio
of a round compares its modes, and the result is the median of all rounds.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from bson import ObjectId
from mongoengine import get_db
from pymongo.errors import PyMongoError

from documents.counters import LEDGER
from documents.organization import Organization
from documents.outgoing.event_types import OUTGOING_EVENT_TYPES
from documents.outgoing.observer import OutgoingEvents
from documents.storage.due_groups import count_due
from jobs.sweep import sweep_due_records
from tools.bench import stored
from tools.bench.workload import Workload
from tools.testbed.stack import run_servers

MODES = ("no hook", "no endpoint", "an endpoint")
EVENTS_PER_DELIVERY = 100
OBSERVERS = dict(LEDGER.observers)
Seconds = dict[str, list[tuple[float, float]]]  # by mode: elapsed, and of this process's processor


def choose_mode(mode: str, organization_id: ObjectId) -> None:
    """Prepare for a mode."""
    LEDGER.observers = dict(OBSERVERS)
    if mode == "no hook":
        del LEDGER.observers[OutgoingEvents]
    get_db().webhook_endpoints.delete_many({})
    if mode == "an endpoint":
        row = {"organization_id": organization_id, "events": list(OUTGOING_EVENT_TYPES)}
        get_db().webhook_endpoints.insert_one(row)


def measure_settling() -> tuple[float, float]:
    """Settle everything. Return the seconds, and those of this process's processor time."""
    begun, used = time.perf_counter(), time.process_time()
    while any(count_due(name) for name in ("donations", "deliveries", "emails")):
        with suppress(PyMongoError):  # on a busy machine, a transaction can take too long
            sweep_due_records()
    return time.perf_counter() - begun, time.process_time() - used


def measure_modes(rounds: int, gifts: int, events: int) -> tuple[Seconds, Seconds]:
    """Settle new gifts and events in each mode and round, in changing order."""
    workload = Workload(users=5_000, fundraisers=5, emails=10_000)
    organization_id = Organization.create("Bench").id
    stored.store_workload(organization_id, workload)
    by_gifts: Seconds = {mode: [] for mode in MODES}
    by_events: Seconds = {mode: [] for mode in MODES}
    deliveries = events // EVENTS_PER_DELIVERY
    for turn in range((rounds + 1) * len(MODES)):
        number, place = divmod(turn, len(MODES))
        mode = MODES[(number + place) % len(MODES)]
        choose_mode(mode, organization_id)
        numbers = range(turn * gifts, (turn + 1) * gifts)
        stored.store_due_gifts(organization_id, workload, numbers)
        gift_seconds = measure_settling()
        posts = range(turn * deliveries, (turn + 1) * deliveries)
        stored.store_deliveries(organization_id, workload, posts)
        event_seconds = measure_settling()
        if number:  # the first round warms up
            by_gifts[mode].append(gift_seconds)
            by_events[mode].append(event_seconds)
    return by_gifts, by_events


def describe(what: str, seconds: Seconds, count: int) -> list[str]:
    """Return the rate of each mode, and its ratios to the first one.

    Other work on the machine only adds processor time, so the least of all rounds is exact.
    """
    lines = []
    base = seconds[MODES[0]]
    for mode in MODES:
        measured = seconds[mode]
        rate = count / statistics.median(elapsed for elapsed, _ in measured)
        pairs = zip(measured, base, strict=True)
        elapsed_ratio = statistics.median(one[0] / other[0] for one, other in pairs)
        least_ratio = min(used for _, used in measured) / min(used for _, used in base)
        lines.append(
            f"{what}, {mode}: {rate:,.0f} a second; time × {elapsed_ratio:.2f}, "
            f"least processor time × {least_ratio:.2f}"
        )
    return lines


def main() -> int:
    """Measure, and print the rates and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--gifts", type=int, default=2_000)
    parser.add_argument("--events", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench") as folder, run_servers(Path(folder)):
        by_gifts, by_events = measure_modes(options.rounds, options.gifts, options.events)
    for line in (
        *describe("gifts", by_gifts, options.gifts),
        *describe("events", by_events, options.events),
    ):
        print(line)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
