"""Show that a report costs the same at 1,000 and at 1,000,000 donations.

Two fundraisers have real rows: donations, donors, events, emails, participants, a history and
correct counters, stored as settling leaves them. The benchmark times each kind of report in turn,
on a real MongoDB. It also counts the commands and the documents that the report reads.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.fundraiser import Fundraiser
from documents.gift_day import make_gift_day_id, quarter_key
from documents.organization import Organization
from tools.bench.report_reads import READS, Command, MeasuredRecords, count_work
from tools.bench.stored_history import list_change_times, store_history, store_sums
from tools.testbed.stack import run_servers

FEW_DONATIONS, MANY_DONATIONS = 1_000, 1_000_000
TIMED_REPORTS = 50
ROWS_A_COMMAND = 10_000
DONATION_DAYS = 90
LAST_DONATION_AT = datetime(2026, 11, 23, tzinfo=UTC)
MAX_COST_RATIO = 1.5


def create_counted_fundraiser(organization_id: ObjectId, number: int) -> Fundraiser:
    """Create a fundraiser with counted donations over ninety days."""
    fundraiser = Fundraiser.create(organization_id, {"name": f"{number} gifts"})
    days: dict[str, Counter[str]] = {}
    for name, rows in _rows(fundraiser, number, days):
        get_db()[name].insert_many(rows, ordered=False)
    for id_, slots in days.items():
        raised = {"USD": {slot: 2500 * count for slot, count in slots.items()}}
        row = {"_id": id_, "fundraiser_id": fundraiser.id, "gifts": slots, "raised": raised}
        get_db().gift_days.insert_one(row)
    counters = {
        **dict.fromkeys(("donations_count", "emails_count", "donors"), number),
        "raised": {"USD": 2500 * number},
        "gifts": {"USD": number},
        "by_match": {"link": {"count": number, "raised": {"USD": 2500 * number}}},
        "funnel": dict.fromkeys(("sent", "delivered", "opened", "opens", "donated"), number),
    }
    get_db().fundraisers.update_one({"_id": fundraiser.id}, {"$set": counters})
    return fundraiser


def _rows(
    fundraiser: Fundraiser, number: int, days: dict[str, Counter[str]]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    of = {"organization_id": fundraiser.organization_id, "fundraiser_id": fundraiser.id}
    for start in range(0, number, ROWS_A_COMMAND):
        donations, emails, donors, events = [], [], [], []
        for index in range(start, min(number, start + ROWS_A_COMMAND)):
            email_id, user_id = ObjectId(), ObjectId()
            at = LAST_DONATION_AT - timedelta(minutes=index * DONATION_DAYS * 24 * 60 // number)
            gift: Any = {"donated_at": at, "amount": 2500, "currency": "USD", "status": "succeeded"}
            day = make_gift_day_id("fundraiser", fundraiser.id, gift)
            days.setdefault(day, Counter())[quarter_key(gift)] += 1
            donor = f"fundraiser:{fundraiser.id}:{user_id}"
            links = {"email_id": email_id, "user_id": user_id, "fundraiser_day_id": day}
            matched = {"match": "link", "fundraiser_donor_id": donor}
            donations.append({**of, **gift, **links, **matched, "donor_mailbox": f"{index}@x.edu"})
            emails.append({**of, "_id": email_id, "user_id": user_id, "donations_count": 1})
            donors.append({"_id": donor, "fundraiser_id": fundraiser.id, "donations_count": 1})
            seen = {"type": "open", "at": at, "email_id": email_id, "delivery_id": email_id}
            events.append({"organization_id": fundraiser.organization_id, **seen})
        yield from (
            ("donations", donations),
            ("emails", emails),
            ("donors", donors),
            ("events", events),
        )


def create_measured_records(*numbers: int) -> list[MeasuredRecords]:
    """Create a fundraiser for each number of gifts.

    Each one has a history, and a mailing with an experiment of as many recipients.
    """
    organization = Organization.create("Reports", "America/New_York")
    created = []
    for number in numbers:
        fundraiser = create_counted_fundraiser(organization.id, number)
        mailing = store_history(fundraiser, number)
        fundraiser = Fundraiser.fetch(organization.id, fundraiser.id)
        created.append(MeasuredRecords(fundraiser, mailing, next(list_change_times(number))))
    store_sums()
    return created


@dataclass(frozen=True)
class ReportCost:
    """A report's median seconds, and the commands and documents that it reads."""

    seconds: float
    work: list[Command]

    @property
    def documents(self) -> list[tuple[str, int]]:
        """The collection of each command, and the documents that it reads."""
        return [(one.collection, one.documents) for one in self.work]

    def describe(self) -> str:
        documents = sum(one.documents for one in self.work)
        return f"{self.seconds * 1000:.2f} ms, {len(self.work)} commands, {documents} documents"


def compare_reports(
    small: int, large: int, rounds: int
) -> dict[str, tuple[ReportCost, ReportCost]]:
    """Return the costs of each report of both fundraisers, measured in turn."""
    both = create_measured_records(small, large)
    costs = {}
    for name, read in READS.items():
        works = [count_work(partial(read, of)) for of in both]
        times = [[time_read(partial(read, of)) for of in both] for _ in range(rounds)]
        medians = [statistics.median(of) for of in zip(*times, strict=True)]
        few, many = map(ReportCost, medians, works)
        costs[name] = few, many
    return costs


def time_read(read: Callable[[], Any]) -> float:
    """Return how many seconds one report takes."""
    begun = time.perf_counter()
    read()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--donations", type=int, default=MANY_DONATIONS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="report-cost") as folder, run_servers(Path(folder)):
        costs = compare_reports(FEW_DONATIONS, arguments.donations, TIMED_REPORTS)
    is_equal = True
    for name, (few, many) in costs.items():
        ratio = many.seconds / few.seconds
        is_equal = is_equal and few.documents == many.documents and ratio < MAX_COST_RATIO
        print(  # noqa: T201
            f"{name}, {FEW_DONATIONS:,} donations: {few.describe()}; "
            f"{arguments.donations:,}: {many.describe()}; ratio {ratio:.2f}"
        )
    sys.exit(0 if is_equal else 1)


if __name__ == "__main__":
    main()
