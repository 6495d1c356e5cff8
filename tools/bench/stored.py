"""The workload as Matchback stores it: everything counted, nothing due."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.counters import LEDGER
from documents.email import Email
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.people.search_words import words_of
from documents.providers.sendgrid import PROVIDER
from documents.storage.marks import DUE
from documents.storage.record import new_row
from documents.user import User
from documents.values.address import fold, mailbox
from documents.values.time import now
from documents.webhook_delivery import WebhookDelivery
from matchback.engine import Contribution, add, increase, to_stored
from tools.bench.workload import SENT_AT, Workload, address, id_of

ROWS_A_COMMAND = 10_000
SENT = datetime.fromtimestamp(SENT_AT, UTC)


def store(organization_id: ObjectId, workload: Workload) -> None:
    """Store users, fundraisers, mailings and emails as if they were counted."""
    of = {"organization_id": organization_id}
    counters: Contribution = {}
    insert("emails", _emails(of, workload, counters))
    insert("users", (_with(counters, "users", row) for row in _users(of, workload)))
    for number in range(workload.fundraisers):
        for name, document in (("mailings", Mailing), ("fundraisers", Fundraiser)):
            link = {"fundraiser_id": ObjectId(id_of("fundraiser", number))}
            row = new_row(document, **of, name=f"Number {number}")
            row |= {"_id": ObjectId(id_of(name[:-1], number))}
            row |= {"sent_at": SENT, **link} if document is Mailing else {}
            insert(name, [_with(counters, name, row)])


def _emails(
    of: dict[str, Any], workload: Workload, counters: Contribution
) -> Iterator[dict[str, Any]]:
    for number in range(workload.emails):
        row = new_row(
            Email,
            **of,
            fundraiser_id=ObjectId(id_of("fundraiser", workload.fundraiser_of(number))),
            mailing_id=ObjectId(id_of("mailing", workload.fundraiser_of(number))),
            user_id=ObjectId(id_of("user", workload.user_of(number))),
            sent_at=SENT,
        )
        row["_id"] = ObjectId(id_of("email", number))
        contribution = LEDGER.contribution("emails", row)
        add(counters, contribution)
        yield row | {"counted": to_stored(contribution)}


def _users(of: dict[str, Any], workload: Workload) -> Iterator[dict[str, Any]]:
    for number in range(workload.users):
        row = new_row(
            User,
            **of,
            name=f"Person {number}",
            email=address(number),
            address=fold(address(number)),
            mailbox=mailbox(address(number)),
            words=words_of(f"Person {number}", address(number)),
        )
        yield row | {"_id": ObjectId(id_of("user", number))}


def _with(counters: Contribution, name: str, row: dict[str, Any]) -> dict[str, Any]:
    increase(row, counters.pop((name, row["_id"]), {}))
    return row


def insert(name: str, rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows, many in each command."""
    rows = iter(rows)
    while batch := list(islice(rows, ROWS_A_COMMAND)):
        get_db()[name].insert_many(batch, ordered=False)


def store_deliveries(
    organization_id: ObjectId, workload: Workload, posts: range, events: int = 100
) -> list[ObjectId]:
    """Store posts as the webhook does, all at once. Return their IDs, the oldest first."""
    begun = now()
    rows: list[dict[str, Any]] = []
    for number in posts:
        body = json.dumps(workload.post(number, events)).encode()
        due = begun + timedelta(milliseconds=len(rows))
        row = new_row(
            WebhookDelivery,
            organization_id=organization_id,
            provider=PROVIDER,
            body=body,
            items=events,
            due=due - timedelta(milliseconds=len(posts)),
        )
        rows.append(row)
    insert("deliveries", rows)
    return [row["_id"] for row in rows]


def is_due(*names: str) -> bool:
    """Return whether any record of these collections waits for counting."""
    return any(get_db()[name].find_one(DUE, {"_id": 1}) for name in names)
