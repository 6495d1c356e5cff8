"""Measure operations on a small and on a large database.

The benchmark measures the same operations with 10,000 emails and as many events, and again with
many more. As many gifts have a history, and half as many users take part in an experiment. So
settling a gift also writes the journal, a participant and an arm. Then the benchmark lists the
bytes of a record of each growing collection, with its indexes.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.event import drop_unread_fields, to_event_row
from documents.fundraiser import Fundraiser
from documents.providers.sendgrid import read_event_report
from tools.bench.figures import AT_MOST, Figure, build_ratio_figure, format_table, write_results
from tools.bench.ours import MeasuredStack
from tools.bench.stored import insert_rows
from tools.bench.stored_history import store_history, store_sums
from tools.bench.workload import Workload, build_id
from tools.testbed.stack import NO_RATE_LIMITS, run_stack

FEW_EMAILS = 10_000
GROWING_COLLECTIONS = (
    *("emails", "events", "participants", "arms", "segments"),
    *("counter_changes", "counter_sums", "gift_changes"),
)
FIRST_STORED_EVENT = 50_000_000  # the first number of the stored events, which no request sends
ROUND_COUNT = 5
MONGODB_CACHE_GB = (
    8.0  # what a machine with 17 GB gives: two million emails and their events fit in
)
MICROSECONDS_A_SECOND = 1e6
MEASURED_PATHS = {
    "a fundraiser's report": "/v1/fundraisers/{fundraiser}/report",
    "a mailing's report": "/v1/mailings/{mailing}/report",
    "a page of a mailing's emails": "/v1/emails?mailing_id={mailing}&limit=100",
    "a page of emails by gifts": "/v1/emails?sort=-donations_count&limit=100",
    "a page of donations": "/v1/donations?limit=100",
}


def measure_costs(mine: MeasuredStack, rounds: int, scale: int = 1) -> list[Figure]:
    """Return the duration of each operation in each round, in microseconds per item."""
    found: dict[str, list[float]] = {}

    def note(name: str, seconds: float) -> None:
        found.setdefault(name, []).append(seconds * MICROSECONDS_A_SECOND)

    for _ in range(rounds):
        note("POST of a donation", 1 / mine.gifts(2000 // scale).rate)
        note("settling a donation", 1 / mine.settle("donations"))
        note("accepting an event", 1 / (100 * mine.posts(200 // scale, 100).rate))
        note("settling an event", 1 / (100 * mine.settle("deliveries")))
        for name, path in MEASURED_PATHS.items():
            place = {"fundraiser": build_id("fundraiser", 0), "mailing": build_id("mailing", 0)}
            note(name, statistics.median(_times(mine, path.format(**place), 60 // scale)))
    return [Figure(name, "µs", values) for name, values in found.items()]


def _times(mine: MeasuredStack, path: str, many: int) -> Iterator[float]:
    for _ in range(many):
        begun = time.perf_counter()
        mine.alice.get(path)
        yield time.perf_counter() - begun


def store_events(organization_id: ObjectId, workload: Workload, many: int) -> None:
    """Store events as if they were counted. The counters do not change."""
    delivery_id = ObjectId()

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(many):
            report = read_event_report(
                organization_id.binary, workload.event(FIRST_STORED_EVENT + number)
            )
            row = to_event_row(report, organization_id, delivery_id, number)
            row |= {"email_id": ObjectId(report.email_ref)}
            drop_unread_fields(row)
            yield dict(row)

    insert_rows("events", rows())


def store_past(organization_id: ObjectId, workload: Workload) -> None:
    """Store a history of as many gifts as emails, and an experiment with all users."""
    fundraiser = Fundraiser.fetch(organization_id, build_id("fundraiser", 0))
    users = (ObjectId(build_id("user", number)) for number in range(workload.users))
    store_history(fundraiser, workload.emails, users)
    store_sums()


def measure_sizes(name: str) -> list[Figure]:
    """Return the bytes of one record of a collection, in storage and in each index."""
    told = get_db().command("collStats", name)
    many = told["count"]
    each = [Figure(f"{name}: storage", "bytes", [told["storageSize"] / many])]
    each += [
        Figure(f"{name}: index {index}", "bytes", [size / many])
        for index, size in sorted(told["indexSizes"].items(), key=lambda pair: -pair[1])
    ]
    return each


def measure_stored(
    folder: Path, emails: int, rounds: int, scale: int
) -> tuple[list[Figure], list[Figure]]:
    """Return costs and sizes with this many emails and events stored."""
    workload = Workload(users=emails // 2, emails=emails)
    with run_stack(folder, NO_RATE_LIMITS, cache_gb=MONGODB_CACHE_GB, has_worker=False) as stack:
        mine = MeasuredStack(stack, workload)
        store_events(mine.organization_id, workload, emails)
        store_past(mine.organization_id, workload)
        get_db().client.admin.command("fsync")  # keeps these writes out of the figures
        measure_costs(mine, 1, scale)  # load the cache, because first reads come from the disk
        return measure_costs(mine, rounds, scale), [
            figure for name in GROWING_COLLECTIONS for figure in measure_sizes(name)
        ]


def compare_growth(folder: Path, few: int, many: int, rounds: int, scale: int = 1) -> list[Figure]:
    """Measure both sizes. Return the costs side by side, and the record sizes of the large one."""
    before, _ = measure_stored(folder / "few", few, rounds, scale)
    after, bytes_ = measure_stored(folder / "many", many, rounds, scale)
    figures = []
    for one, other in zip(before, after, strict=True):
        told = build_ratio_figure(f"{one.name}: {many:,} to {few:,}", other, one, AT_MOST, 1.2)
        figures += [one, Figure(f"{other.name}, of many", "µs", other.values), told]
    return [*figures, *bytes_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", type=int, default=2_000_000)
    parser.add_argument("--results", type=Path, default=Path("build/bench-growth"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-growth") as folder:
        figures = compare_growth(Path(folder), FEW_EMAILS, given.many, ROUND_COUNT)
    write_results(given.results, figures, {"few": FEW_EMAILS, "many": given.many})
    print(format_table(figures))  # noqa: T201


if __name__ == "__main__":
    main()
