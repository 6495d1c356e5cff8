"""Measure how many rows a second the migrations of the last version move.

`python -m tools.bench.migration EVENTS GIFTS` stores counted data in the layout of the version
before, migrates it, and recounts it before and after.
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bson import Binary, ObjectId
from mongoengine import get_db

from documents.migrations.indexes import update_indexes
from documents.migrations.migration import Migration, run_migrations
from documents.migrations.steps import MIGRATIONS
from documents.providers.report import EVENT_KEY_BYTES
from documents.recount import recount
from documents.tracking.former_rows import FORMER_ID_INDEX
from documents.values.time import now
from tools.bench.recount_rate import EVENT_TYPES, store_records
from tools.bench.workload import EVENTS_A_POST, USER_AGENT
from tools.testbed.stack import run_servers

FIRST_MEASURED_MIGRATION = 20
EMAILS_A_STEP = 20_000
ROWS_A_COMMAND = 5_000


def store_former_layout(events: int, gifts: int) -> None:
    """Store counted emails with this many events and gifts, as the version before did."""
    finished = [one for one in MIGRATIONS if one.number < FIRST_MEASURED_MIGRATION]
    for one in finished:
        ended = {"$set": {"name": one.name, "finished_at": now()}}
        get_db().migrations.update_one({"_id": one.number}, ended, upsert=True)
    emails = max(events // len(EVENT_TYPES), gifts, 1)
    for first in range(0, emails, EMAILS_A_STEP):
        some = min(EMAILS_A_STEP, emails - first)
        store_records(some, emails_a_gift=emails // gifts if gifts else emails + 1)
    _store_former_events()


def _store_former_events() -> None:
    """Replace the events by the rows of the version before."""
    get_db().events.rename("short_events")
    update_indexes()
    get_db().events.create_index(
        [("organization_id", 1), ("sg_event_id", 1)],
        name=FORMER_ID_INDEX,
        unique=True,
        partialFilterExpression={"sg_event_id": {"$type": "string"}},
    )
    batch: list[dict[str, Any]] = []
    for row in _former_rows():
        batch.append(row)
        if len(batch) == ROWS_A_COMMAND:
            get_db().events.insert_many(batch, ordered=False)
            batch = []
    if batch:
        get_db().events.insert_many(batch, ordered=False)
    get_db().short_events.drop()


def _former_rows() -> Iterator[dict[str, Any]]:
    delivery_id = ObjectId()
    for number, row in enumerate(get_db().short_events.find()):
        if number % EVENTS_A_POST == 0:
            delivery_id = ObjectId()
        digest = hashlib.blake2b(str(number).encode(), digest_size=EVENT_KEY_BYTES).digest()
        yield {
            **{name: value for name, value in row.items() if name != "machine"},
            "_id": Binary(digest),
            "delivery_id": delivery_id,
            "item": number % EVENTS_A_POST,
            "address": f"person{number // len(EVENT_TYPES)}@example.edu",
            "sg_event_id": f"bench-event-{number}",
            "sg_message_id": f"message-{row['email_id']}.filter0001.1234.5678ABCD-0",
            "user_agent": USER_AGENT,
            "tied_by": "email_id",
        }


def measure_migrations() -> Iterator[tuple[Migration, int, float]]:
    """Run the migrations. Yield each with its number of rows and its seconds."""
    begun = time.perf_counter()
    for status in run_migrations(MIGRATIONS):
        if status.is_finished:
            yield status.migration, status.rows, time.perf_counter() - begun
            begun = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", type=int)
    parser.add_argument("gifts", type=int, nargs="?", default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="migration") as folder, run_servers(Path(folder)):
        store_former_layout(given.events, given.gifts)
        _say(f"before: {_count_incorrect()} incorrect counters")
        for migration, rows, seconds in measure_migrations():
            rate = f"{rows} rows in {seconds:.1f} s, {rows / seconds:.0f} rows/s"
            _say(f"{migration.number} {migration.name}: {rate}")
        update_indexes()
        _say(f"after: {_count_incorrect()} incorrect counters")


def _count_incorrect() -> int:
    return sum(1 for _ in recount.find_drifts())


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
