"""Measure how many records a recount compares in a second.

The ledger itself computes the inserted rows and counters, so the recount must find no difference. A
share of the rows is due, as during an import.
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bson import ObjectId

from documents.counters import LEDGER
from documents.donor import build_donor_row, make_donor_id
from documents.gift_day import build_gift_day_row, make_gift_day_id
from documents.match import MATCH_INDEX
from documents.recount import recount
from matchback.engine import increase, to_stored
from tools.bench.stored import insert_rows
from tools.testbed.stack import run_servers

EMAILS_A_MAILING = 20_000
EMAILS_A_GIFT = 20  # one of this many emails led to a gift
EVENT_TYPES = ("delivered", "open", "click")
ROWS_A_DUE_ROW = 10  # one of this many rows is due
EMAILS_SENT_AT = datetime(2026, 11, 1, tzinfo=UTC)

Rows = defaultdict[str, dict[Any, Any]]  # by collection and ID


def store_records(emails: int, *, events: bool = True, emails_a_gift: int = EMAILS_A_GIFT) -> int:
    """Store this many emails with their users, gifts and events. Return the number of records."""
    rows: Rows = defaultdict(dict)
    of = {"organization_id": ObjectId(), "fundraiser_id": ObjectId()}
    rows["fundraisers"][of["fundraiser_id"]] = {"organization_id": of["organization_id"]}
    for number in range(emails):
        if number % EMAILS_A_MAILING == 0:
            of["mailing_id"] = ObjectId()
            rows["mailings"][of["mailing_id"]] = dict(of)
        email_id = _email(rows, dict(of), number, events=events)
        if number % emails_a_gift == 0:
            user_id = rows["emails"][email_id]["user_id"]
            _gift(rows, {**of, "user_id": user_id, "email_id": email_id}, number)
    _count(rows)
    for name, stored in rows.items():
        insert_rows(name, ({"_id": id_, **row} for id_, row in stored.items()))
    return sum(len(rows[name]) for name in recount.COUNTED_COLLECTIONS)


def _email(rows: Rows, of: dict[str, Any], number: int, *, events: bool) -> ObjectId:
    email_id, user_id = ObjectId(), ObjectId()
    organization_id = of["organization_id"]
    rows["users"][user_id] = {"organization_id": organization_id, "name": f"P{number}"}
    of |= {"user_id": user_id}
    rows["emails"][email_id] = {**of, "sent_at": EMAILS_SENT_AT, "delivered_at": EMAILS_SENT_AT}
    for place, kind in enumerate(EVENT_TYPES if events else ()):
        event = {"organization_id": organization_id, "email_id": email_id, "type": kind}
        rows["events"][email_id.binary + bytes([place])] = {
            **event,
            "at": EMAILS_SENT_AT,
            "machine": False,
        }
    return email_id


def _gift(rows: Rows, of: dict[str, Any], number: int) -> None:
    id_ = ObjectId()
    at = EMAILS_SENT_AT + timedelta(minutes=number % 10_000)
    gift: Any = {**of, "_id": id_, "donated_at": at, "amount": 2500, "currency": "USD"}
    gift |= {"status": "succeeded", "match": "link"}
    for kind in ("fundraiser", "mailing"):
        parent = gift[f"{kind}_id"]
        gift[f"{kind}_donor_id"] = make_donor_id(kind, parent, gift)
        gift[f"{kind}_day_id"] = make_gift_day_id(kind, parent, gift)
        rows["donors"][gift[f"{kind}_donor_id"]] = build_donor_row(gift[f"{kind}_donor_id"])
        rows["gift_days"][gift[f"{kind}_day_id"]] = build_gift_day_row(gift[f"{kind}_day_id"])
    rows["users"][gift["user_id"]]["last_donated_at"] = at
    for name, row in (("donations", gift), ("matches", MATCH_INDEX.row(gift) or {})):
        rows[name][id_] = {field: value for field, value in row.items() if field != "_id"}


def _count(rows: Rows) -> None:
    """Give every row the counters and the `counted` that settling would give it."""
    for name in LEDGER.order:
        for number, (id_, row) in enumerate(rows[name].items()):
            for flag in LEDGER.flags[name]:
                row[flag.field] = flag.when(row)
            contribution = LEDGER.contribution(name, {"_id": id_, **row})
            if "counted" in LEDGER.documents[name]._fields:  # type: ignore[attr-defined]
                row["counted"] = to_stored(contribution)
                if number % ROWS_A_DUE_ROW == 0:
                    row["due"] = EMAILS_SENT_AT
            for (target, target_id), amounts in contribution.items():
                increase(rows[target][target_id], amounts)


@dataclass(frozen=True)
class RecountRate:
    """The result of a complete recount."""

    records: int
    seconds: float
    incorrect: int

    def line(self) -> str:
        """Return the result in one line for people."""
        rate = self.records / self.seconds
        return (
            f"{self.records} records in {self.seconds:.1f} s: {rate:.0f} a second, "
            f"{self.incorrect} incorrect"
        )


def measure_recount() -> RecountRate:
    """Compare every stored record."""
    begun_at = time.perf_counter()
    records = incorrect = 0
    for page in recount.compare_all_counters():
        records += page.size
        incorrect += len(page.drifts)
    return RecountRate(records, time.perf_counter() - begun_at, incorrect)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emails", type=int, default=100_000)
    parser.add_argument("--no-events", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recount-rate") as folder, run_servers(Path(folder)):
        store_records(options.emails, events=not options.no_events)
        sys.stdout.write(measure_recount().line() + "\n")


if __name__ == "__main__":
    main()
