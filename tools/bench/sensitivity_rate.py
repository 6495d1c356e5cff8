"""Measure the processor time of computing sums under other rules.

Each donor of a fundraiser got some emails and gave some gifts. With one donor, thousands of gifts
and a thousand emails, this is also the worst case that one person can cause.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from bson import ObjectId
from mongoengine import get_db

from documents.matching.policy import MatchPolicy
from documents.sensitivity import run
from documents.sensitivity.turns import SensitivityTurns
from documents.values.time import now
from tools.bench.stored import insert_rows
from tools.testbed.stack import run_servers

FIRST_SENT_AT = datetime(2026, 10, 1, tzinfo=UTC)
MAILING_COUNT = 10
GIFT_CENTS = 2500


@dataclass(frozen=True)
class Donors:
    """The donors of a fundraiser: their number, and the emails and gifts of each."""

    count: int
    emails: int
    gifts: int


def store_donors(donors: Donors) -> ObjectId:
    """Store a fundraiser with its donors, all settled. Return its ID."""
    of = {"organization_id": ObjectId(), "fundraiser_id": ObjectId()}
    owner = {"organization_id": of["organization_id"]}
    insert_rows("fundraisers", [{"_id": of["fundraiser_id"], **owner}])
    mailings = [ObjectId() for _ in range(MAILING_COUNT)]
    insert_rows("mailings", ({"_id": id_, **of} for id_ in mailings))
    users = [ObjectId() for _ in range(donors.count)]
    insert_rows("users", (_user(owner, id_, n) for n, id_ in enumerate(users)))
    insert_rows("emails", _emails(of, users, mailings, donors))
    insert_rows("donations", _gifts(of, mailings, donors))
    run = {"_id": of["fundraiser_id"], **owner, "changed_at": FIRST_SENT_AT, "due": FIRST_SENT_AT}
    get_db().sensitivity_runs.insert_one(run)
    return of["fundraiser_id"]


def _user(owner: dict[str, Any], id_: ObjectId, number: int) -> dict[str, Any]:
    address = f"donor{number}@example.edu"
    return {"_id": id_, **owner, "email": address, "address": address, "mailbox": address}


def _emails(
    of: dict[str, Any], users: list[ObjectId], mailings: list[ObjectId], donors: Donors
) -> Iterator[dict[str, Any]]:
    for user_id in users:
        for number in range(donors.emails):
            sent_at = FIRST_SENT_AT + number * timedelta(days=30) / donors.emails
            fields = {"mailing_id": mailings[number % MAILING_COUNT], "user_id": user_id}
            yield {"_id": ObjectId(), **of, **fields, "sent_at": sent_at}


def _gifts(
    of: dict[str, Any], mailings: list[ObjectId], donors: Donors
) -> Iterator[dict[str, Any]]:
    donated_at = FIRST_SENT_AT + timedelta(days=30)
    money = {"amount": GIFT_CENTS, "currency": "USD", "status": "succeeded", "match": "address"}
    for number in range(donors.count * donors.gifts):
        address = f"donor{number % donors.count}@example.edu"
        who = {"donor_email": address, "donor_mailbox": address, "donor_name": "Donor"}
        at = donated_at + timedelta(seconds=number % 1000)
        gift = {"_id": ObjectId(), **of, **money, **who, "donated_at": at}
        yield gift | {"mailing_id": mailings[0]}


@dataclass(frozen=True)
class SensitivityRate:
    """Processor seconds of a computation, of this thread and of MongoDB."""

    gifts: int
    python: float
    mongodb: float

    def line(self) -> str:
        """Return the result in one line for people."""
        scale = 100_000 / self.gifts
        return (
            f"{self.gifts} gifts: {self.python:.2f} s of Python, {self.mongodb:.2f} s of MongoDB; "
            f"{scale * (self.python + self.mongodb):.1f} s for 100,000 gifts"
        )


def measure(donors: Donors) -> SensitivityRate:
    """Compute the sums of a stored fundraiser."""
    python, mongodb = time.thread_time(), _measure_mongodb()
    worker = SensitivityTurns()
    while worker.work(MatchPolicy()):
        pass
    return SensitivityRate(
        donors.count * donors.gifts, time.thread_time() - python, _measure_mongodb() - mongodb
    )


def measure_longest_page(fundraiser_id: ObjectId) -> float:
    """Compute all sums again, and return the elapsed seconds of the longest page."""
    due = {"$set": {"due": now() - timedelta(seconds=1), "changed_at": FIRST_SENT_AT}}
    get_db().sensitivity_runs.update_one({"_id": fundraiser_id}, due)
    longest = 0.0
    while get_db().sensitivity_runs.find_one({"_id": fundraiser_id, "due": {"$ne": None}}):
        begun_at = time.monotonic()
        run.work_on_page(fundraiser_id, MatchPolicy())
        longest = max(longest, time.monotonic() - begun_at)
    return longest


def _measure_mongodb() -> float:
    children = psutil.Process().children(recursive=True)
    servers = [one for one in children if one.name() == "mongod"]
    return sum(sum(one.cpu_times()[:2]) for one in servers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--donors", type=int, default=50_000)
    parser.add_argument("--emails", type=int, default=3, help="Number of emails to each donor.")
    parser.add_argument("--gifts", type=int, default=2, help="Number of gifts of each donor.")
    options = parser.parse_args()
    donors = Donors(options.donors, options.emails, options.gifts)
    with tempfile.TemporaryDirectory(prefix="sensitivity") as folder, run_servers(Path(folder)):
        fundraiser_id = store_donors(donors)
        sys.stdout.write(measure(donors).line() + "\n")
        longest = measure_longest_page(fundraiser_id)
        sys.stdout.write(f"longest page: {longest:.2f} s\n")


if __name__ == "__main__":
    main()
