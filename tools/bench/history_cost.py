"""Measure what the journal, gift changes, segments and experiments cost settling.

Each mode has its own database. The modes take turns in one process, so that other work on the
machine slows both of them. The mode without history has no journal, no gift changes, no segments
and no experiments. The processor time includes MongoDB's.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import mongoengine
import psutil
from bson import ObjectId
from mongoengine import get_db
from pymongo.errors import PyMongoError

from config import database
from config.settings import Settings
from documents.counters import LEDGER
from documents.email import Email
from documents.history.gift_changes import GiftChanges
from documents.history.journal import JOURNAL
from documents.migrations.indexes import update_indexes
from documents.organization import Organization
from documents.segments.recording import SegmentOwner, build_segment_values
from documents.storage.due_groups import count_due
from documents.storage.record import build_record_row
from documents.values.time import now
from jobs.sweep import sweep_due_records
from service.local.supervisor import Supervisor
from tools.bench import stored
from tools.bench.dashboard_idle import measure_cpu_seconds
from tools.bench.workload import EVENTS_A_POST, Workload, build_id, build_user_address
from tools.testbed.stack import Servers

WITHOUT, WITH = MODES = ("without history", "with history")
KINDS = ("gifts", "events", "emails", "emails of experiments")
OBSERVERS = dict(LEDGER.observers)
WORKLOAD = Workload(users=5_000, fundraisers=5, emails=10_000)
WINDOW = timedelta(days=7)


@dataclass(frozen=True)
class Spent:
    """The seconds to settle, and the processor seconds of this process and of MongoDB."""

    elapsed: float
    used: float


Measured = dict[tuple[str, str], list[Spent]]  # by kind and mode


@dataclass
class Turns:
    """The databases of both modes, which this process connects to in turn."""

    servers: Servers
    uris: dict[str, str]
    organizations: dict[str, ObjectId]
    mode: str = ""

    def take(self, mode: str) -> None:
        """Connect to a mode's database, and prepare for the mode."""
        self.mode = mode
        mongoengine.disconnect_all()
        database.connect_database(Settings(mongodb_uri=self.uris[mode]))
        LEDGER.journal = JOURNAL if mode == WITH else None
        LEDGER.observers = dict(OBSERVERS)
        if mode == WITHOUT:
            del LEDGER.observers[GiftChanges]

    def store(self, kind: str, numbers: range) -> None:
        """Store due records with these numbers, as clients would."""
        organization_id = self.organizations[self.mode]
        if kind == "gifts":
            stored.store_due_gifts(organization_id, WORKLOAD, numbers)
        elif kind == "events":
            posts = range(numbers.start // EVENTS_A_POST, numbers.stop // EVENTS_A_POST)
            stored.store_deliveries(organization_id, WORKLOAD, posts)
        else:
            in_experiment = kind != "emails" and self.mode == WITH
            emails = [self._build_email(number, in_experiment) for number in numbers]
            stored.insert_rows("emails", emails)

    def _build_email(self, number: int, in_experiment: bool) -> dict[str, Any]:
        of = number % WORKLOAD.fundraisers
        user = WORKLOAD.user_of(number)
        row: dict[str, Any] = build_record_row(
            Email,
            organization_id=self.organizations[self.mode],
            fundraiser_id=ObjectId(build_id("fundraiser", of)),
            mailing_id=ObjectId(build_id("mailing", of)),
            user_id=ObjectId(build_id("user", user)),
            sent_at=stored.WORKLOAD_SENT_AT,
            due=now(),
        )
        if self.mode == WITH:
            row |= find_segments(row, build_user_address(user))
        if in_experiment:
            row["arm_id"] = f"{row['mailing_id']}:{'AB'[user % 2]}"
            row |= {"outcome_from": row["sent_at"], "outcome_until": row["sent_at"] + WINDOW}
        return row

    def settle(self) -> Spent:
        """Settle everything."""
        begun, used = time.perf_counter(), self._read_used()
        while any(count_due(name) for name in ("donations", "deliveries", "emails")):
            with suppress(PyMongoError):  # on a busy machine, a transaction can take too long
                sweep_due_records()
        return Spent(time.perf_counter() - begun, self._read_used() - used)

    def _read_used(self) -> float:
        return time.process_time() + measure_cpu_seconds(
            psutil.Process(self.servers.pid("MongoDB"))
        )


def find_segments(email: dict[str, Any], address: str) -> dict[str, Any]:
    """Return the fields that an email to this address gets when it is recorded."""
    owner = SegmentOwner(email["organization_id"], email["fundraiser_id"], email["mailing_id"])
    return build_segment_values(owner, address, {}, email.get("arm_id"))


@contextmanager
def run_databases(folder: Path) -> Iterator[Turns]:
    """Start the servers, with a database for each mode that has the workload."""
    supervisor = Supervisor(say=lambda text: None)
    try:
        servers = Servers.start(folder, supervisor)
        turns = Turns(servers, {mode: servers.create_database() for mode in MODES}, {})
        for mode in MODES:
            turns.take(mode)
            update_indexes()
            turns.organizations[mode] = Organization.create("Bench").id
            stored.store_workload(turns.organizations[mode], WORKLOAD)
        add_segments()
        yield turns
    finally:
        LEDGER.journal, LEDGER.observers = JOURNAL, OBSERVERS
        mongoengine.disconnect_all()  # before the servers stop, because the client would wait
        supervisor.stop()


def add_segments() -> None:
    """Give the emails of the workload their segments, and settle that."""
    for mailing in get_db().mailings.find():
        email = {"mailing_id": mailing["_id"], **mailing}
        fields = find_segments(email, build_user_address(0))
        changed = {"$set": {**fields, "due": now()}}
        get_db().emails.update_many({"mailing_id": mailing["_id"]}, changed)
    while count_due("emails"):
        with suppress(PyMongoError):
            sweep_due_records()


def measure(turns: Turns, rounds: int, sizes: dict[str, int]) -> Measured:
    """Settle new records of each kind in each mode and round, in changing order."""
    measured: Measured = {(kind, mode): [] for kind in sizes for mode in MODES}
    for number in range(rounds + 1):
        for kind, size in sizes.items():
            for mode in MODES if number % 2 else reversed(MODES):
                turns.take(mode)
                turns.store(kind, range(number * size, (number + 1) * size))
                spent = turns.settle()
                if number:  # the first round warms up
                    measured[kind, mode].append(spent)
    return measured


def describe(kind: str, measured: Measured, size: int) -> str:
    """Return the rate with history, and the ratios to the mode without it.

    Other work on the machine only adds processor time, so the least of all rounds is exact.
    """
    base, spent = measured[kind, WITHOUT], measured[kind, WITH]
    pairs = list(zip(spent, base, strict=True))
    elapsed = statistics.median(one.elapsed / other.elapsed for one, other in pairs)
    used = statistics.median(one.used / other.used for one, other in pairs)
    least = min(one.used for one in spent) / min(one.used for one in base)
    rate = size / statistics.median(one.elapsed for one in spent)
    return (
        f"{kind}: {rate:,.0f} a second; time × {elapsed:.2f}, processor time × {used:.2f}, "
        f"least processor time × {least:.2f}"
    )


def main() -> int:
    """Measure, and print the rates and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--gifts", type=int, default=2_000)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--emails", type=int, default=4_000)
    options = parser.parse_args()
    sizes = dict(
        zip(KINDS, (options.gifts, options.events, options.emails, options.emails), strict=True)
    )
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        # Emails of experiments would make the gifts of their users due again.
        for kinds in (KINDS[:2], KINDS[2:]):
            with run_databases(Path(folder) / kinds[0]) as turns:
                measured = measure(turns, options.rounds, {kind: sizes[kind] for kind in kinds})
            for kind in kinds:
                print(describe(kind, measured, sizes[kind]))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
