"""Duplicates: two records of one mailbox, stored before all spellings of an address were one.

The migration of addresses notes them and merges nothing. Staff decide, as
docs/explanation/matching.md describes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import DateTimeField, ObjectIdField, StringField, get_db

from documents.storage.base import Document
from documents.values.address import canonical
from documents.values.time import now
from matchback.engine import Tx

FIELDS = dict.fromkeys(("name", "email", "address", "deleted_at"), 1)


class Duplicate(Document):
    """A user, or one of the staff, that is not found by its address. Its ID is the record's."""

    id = ObjectIdField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    collection = StringField(required=True)
    kept_id = ObjectIdField(required=True)  # the record that is found by the address
    noted_at = DateTimeField()

    meta = {
        "collection": "duplicates",
        "auto_create_index": False,
        "indexes": [["organization_id", "id"]],
    }


@dataclass(frozen=True)
class Pair:
    """A record that is not found by its address, and the ID of the one that is."""

    id: ObjectId
    organization_id: ObjectId
    collection: str
    name: str
    email: str
    kept_id: ObjectId
    noted_at: datetime


def note_duplicate(tx: Tx, collection: str, record: dict[str, Any], kept_id: ObjectId) -> None:
    """Note in the caller's transaction that the record is not found by its address."""
    known = {
        "organization_id": record["organization_id"],
        "collection": collection,
        "kept_id": kept_id,
    }
    tx.database.duplicates.update_one(
        {"_id": record["_id"]},
        {"$set": known, "$setOnInsert": {"noted_at": now()}},
        upsert=True,
        session=tx.session,
    )


def pairs(organization_id: ObjectId | None = None) -> Iterator[Pair]:
    """Yield the duplicates that staff have not decided yet, the oldest records first.

    Args:
        organization_id: whose; None for all organizations.
    """
    query = {} if organization_id is None else {"organization_id": organization_id}
    for noted in get_db().duplicates.find(query).sort("_id", 1):
        record = get_db()[noted["collection"]].find_one({"_id": noted["_id"]}, FIELDS)
        if record is None or not _is_open(record):
            continue
        yield Pair(
            noted["_id"],
            noted["organization_id"],
            noted["collection"],
            record["name"],
            record["email"],
            noted["kept_id"],
            noted["noted_at"],
        )


def _is_open(record: dict[str, Any]) -> bool:
    """Return whether the record still has no key of its own: neither deleted nor changed."""
    if record.get("deleted_at"):
        return False
    return bool(record.get("address") != canonical(record["email"]))
