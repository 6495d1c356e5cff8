"""The workload as Matchback stores it: everything counted, nothing due."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.counters import LEDGER
from documents.donation import Donation
from documents.email import Email
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.people.search_words import list_search_words
from documents.storage.due_groups import count_due
from documents.storage.record import build_record_row
from documents.user import User
from documents.values.address import fold_text, to_canonical, to_mailbox
from documents.values.time import now
from documents.webhook_delivery import WebhookDelivery
from matchback.engine import Contribution, add, increase, to_stored
from tools.bench.workload import WORKLOAD_UNIX_SECONDS, Workload, build_id, build_user_address

ROWS_A_COMMAND = 10_000
WORKLOAD_SENT_AT = datetime.fromtimestamp(WORKLOAD_UNIX_SECONDS, UTC)


def store_workload(organization_id: ObjectId, workload: Workload) -> None:
    """Store users, fundraisers, mailings and emails as if they were counted."""
    of = {"organization_id": organization_id}
    counters: Contribution = {}
    insert_rows("emails", _emails(of, workload, counters))
    insert_rows("users", (_with(counters, "users", row) for row in _users(of, workload)))
    for number in range(workload.fundraisers):
        for name, document in (("mailings", Mailing), ("fundraisers", Fundraiser)):
            link = {"fundraiser_id": ObjectId(build_id("fundraiser", number))}
            row = build_record_row(document, **of, name=f"Number {number}")
            row |= {"_id": ObjectId(build_id(name[:-1], number))}
            row |= {"sent_at": WORKLOAD_SENT_AT, **link} if document is Mailing else {}
            insert_rows(name, [_with(counters, name, row)])


def _emails(
    of: dict[str, Any], workload: Workload, counters: Contribution
) -> Iterator[dict[str, Any]]:
    for number in range(workload.emails):
        row = build_record_row(
            Email,
            **of,
            fundraiser_id=ObjectId(build_id("fundraiser", workload.fundraiser_of(number))),
            mailing_id=ObjectId(build_id("mailing", workload.fundraiser_of(number))),
            user_id=ObjectId(build_id("user", workload.user_of(number))),
            sent_at=WORKLOAD_SENT_AT,
        )
        row["_id"] = ObjectId(build_id("email", number))
        contribution = LEDGER.contribution("emails", row)
        add(counters, contribution)
        yield row | {"counted": to_stored(contribution)}


def _users(of: dict[str, Any], workload: Workload) -> Iterator[dict[str, Any]]:
    for number in range(workload.users):
        row = build_record_row(
            User,
            **of,
            name=f"Person {number}",
            email=build_user_address(number),
            address=fold_text(build_user_address(number)),
            mailbox=to_mailbox(build_user_address(number)),
            words=list_search_words(f"Person {number}", build_user_address(number)),
        )
        yield row | {"_id": ObjectId(build_id("user", number))}


def _with(counters: Contribution, name: str, row: dict[str, Any]) -> dict[str, Any]:
    increase(row, counters.pop((name, row["_id"]), {}))
    return row


def insert_rows(name: str, rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows with their rows in index tables, many in each command."""
    rows = iter(rows)
    while batch := list(islice(rows, ROWS_A_COMMAND)):
        get_db()[name].insert_many(batch, ordered=False)
        for table in LEDGER.index_tables_of(name):
            if copies := [row for row in map(table.build_row, batch) if row is not None]:
                get_db()[table.name].insert_many(copies, ordered=False)


def store_due_gifts(organization_id: ObjectId, workload: Workload, numbers: Iterable[int]) -> None:
    """Store gifts as the API does, all at once. They are due."""
    insert_rows("donations", [_gift(organization_id, workload.gift(one)) for one in numbers])


def _gift(organization_id: ObjectId, body: dict[str, Any]) -> dict[str, Any]:
    address = body["donor"]["email"]
    row: dict[str, Any] = build_record_row(
        Donation,
        organization_id=organization_id,
        fundraiser_id=ObjectId(body["fundraiser_id"]),
        amount=body["amount"],
        currency="USD",
        donor_name=body["donor"]["name"],
        donor_email=address,
        donor_address=to_canonical(address),
        donor_mailbox=to_mailbox(address),
        email_ref=body["email_id"],
        external_id=body["external_id"],
        status="succeeded",
        donated_at=datetime.fromisoformat(body["donated_at"]),
        due=now(),
    )
    return row


def store_deliveries(
    organization_id: ObjectId, workload: Workload, posts: range, events: int = 100
) -> list[ObjectId]:
    """Store posts as the webhook does, all at once. Return their IDs, the oldest first."""
    begun = now()
    rows: list[dict[str, Any]] = []
    for number in posts:
        body = json.dumps(workload.post(number, events)).encode()
        due = begun + timedelta(milliseconds=len(rows))
        row = build_record_row(
            WebhookDelivery,
            organization_id=organization_id,
            provider="sendgrid",
            body=body,
            items=events,
            due=due - timedelta(milliseconds=len(posts)),
        )
        rows.append(row)
    insert_rows("deliveries", rows)
    return [row["_id"] for row in rows]


def has_due_rows(*names: str) -> bool:
    """Return whether any record of these collections waits for counting."""
    return any(count_due(name, limit=1) for name in names)
