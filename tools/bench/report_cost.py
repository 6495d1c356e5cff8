"""Show that a report costs the same at 1,000 and at 1,000,000 donations.

Two fundraisers have real rows: donations, donors, events, emails and correct counters, stored as
settling leaves them. The benchmark times their reports in turn, on a real MongoDB.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.fundraiser import Fundraiser
from documents.gift_day import make_gift_day_id, quarter_key
from documents.organization import Organization
from documents.reports.report import build_fundraiser_report
from tools.testbed.stack import run_servers

FEW_DONATIONS, MANY_DONATIONS = 1_000, 1_000_000
TIMED_REPORTS = 200
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


def time_report(fundraiser: Fundraiser) -> float:
    """Return how many seconds one report takes."""
    begun = time.perf_counter()
    report = build_fundraiser_report(fundraiser)
    spent = time.perf_counter() - begun
    assert report["donations"]["count"] == read_donation_count(fundraiser)
    return spent


def read_donation_count(fundraiser: Fundraiser) -> int:
    return int(fundraiser.name.split()[0])


def compare_reports(small: int, large: int, rounds: int) -> tuple[float, float]:
    """Return the median seconds of either fundraiser's report, measured in turn."""
    organization = Organization.create("Reports", "America/New_York")
    both = [create_counted_fundraiser(organization.id, number) for number in (small, large)]
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for index, fundraiser in enumerate(both):
            times[index].append(time_report(fundraiser))
    few, many = (statistics.median(of) for of in times)
    return few, many


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--donations", type=int, default=MANY_DONATIONS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="report-cost") as folder, run_servers(Path(folder)):
        few, many = compare_reports(FEW_DONATIONS, arguments.donations, TIMED_REPORTS)
    print(  # noqa: T201
        f"report of {FEW_DONATIONS:,} donations: {few * 1000:.2f} ms; "
        f"of {arguments.donations:,}: {many * 1000:.2f} ms; ratio {many / few:.2f}"
    )
    sys.exit(0 if many / few < MAX_COST_RATIO else 1)


if __name__ == "__main__":
    main()
