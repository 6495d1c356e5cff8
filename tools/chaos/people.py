"""Check of imports and erasures: each line is one email, and no erased address stays."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from tools.chaos.clients import ChaosClient
from tools.chaos.importing import ImportFiles

# Fields that identify a person, decoded or not. Stored responses for an Idempotency-Key are
# encrypted.
SEARCHED_COLLECTIONS = (
    "users",
    "emails",
    "donations",
    "donors",
    "payments",
    "deliveries",
    "events",
    "links",
    "clickers",
    "messages",
    "archives",
    "past_matches",
    "event_deliveries",
    "audit",
)


def compare_people(clients: list[ChaosClient], files: ImportFiles, differences: list[str]) -> None:
    """Add every difference between the stored people and the clients' knowledge."""
    differences += _imported(files)
    differences += _counted(clients, files)
    differences += _erased(clients)


def _imported(files: ImportFiles) -> Iterator[str]:
    users = {row.get("email"): row["_id"] for row in get_db().users.find({}, {"email": 1})}
    emails = Counter(
        (row["user_id"], str(row["fundraiser_id"]))
        for row in get_db().emails.find({}, {"user_id": 1, "fundraiser_id": 1})
    )
    for file in sorted(files.acknowledged):
        for line in files.lines(file):
            number = emails[users.get(line["user"]["email"]), line["fundraiser_id"]]
            if number != 1:
                yield f"import {file}: {number} emails to {line['user']['email']}"


def _counted(clients: list[ChaosClient], files: ImportFiles) -> Iterator[str]:
    truth = Counter(where for client in clients for where in client.emails.values())
    for file in files.acknowledged:
        truth.update(line["fundraiser_id"] for line in files.lines(file))
    for fundraiser in files.fundraisers:
        row: Any = get_db().fundraisers.find_one({"_id": ObjectId(fundraiser)})
        if row["emails_count"] != truth[fundraiser]:
            yield (
                f"fundraiser {fundraiser}: {row['emails_count']} emails counted, "
                f"{truth[fundraiser]} sent"
            )


def _erased(clients: list[ChaosClient]) -> Iterator[str]:
    addresses = [address for client in clients for address in client.erased.values()]
    if not addresses:
        return
    for address in addresses:
        names = re.compile(rf"(?<![\w.]){re.escape(address)}".encode())
        for name in SEARCHED_COLLECTIONS:
            for row in get_db()[name].find():
                if names.search(_bytes(row)):
                    yield f"{name} {row['_id']} holds the erased address {address}"


def _bytes(row: dict[str, Any]) -> bytes:
    """Return a whole row as bytes, with posts as they are stored."""
    parts = [bytes(value) for value in row.values() if isinstance(value, bytes)]
    return b"\n".join([repr(row).encode(), *parts])
