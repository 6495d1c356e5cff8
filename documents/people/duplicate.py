"""Duplicates: two records of one mailbox, from versions that compared addresses by spelling.

The migration of addresses notes duplicates and merges none. Staff decide, as
docs/explanation/matching.md describes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import DateTimeField, ObjectIdField, StringField, get_db

from documents.storage.base import Document
from documents.storage.personal_data import show_address, show_name
from documents.values.address import to_canonical
from documents.values.time import now
from matchback.engine import Tx

DUPLICATE_RECORD_FIELDS = dict.fromkeys(("name", "email", "address", "deleted_at"), 1)


class Duplicate(Document):
    """A user or staff member whose address leads to another record. It has the record's ID."""

    id = ObjectIdField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    collection = StringField(required=True)
    kept_id = ObjectIdField(required=True)  # the record that a lookup by the address finds
    noted_at = DateTimeField()

    meta = {
        "collection": "duplicates",
        "auto_create_index": False,
        "indexes": [["organization_id", "id"]],
    }


@dataclass(frozen=True)
class DuplicatePair:
    """A record whose address leads to another record, and the ID of that record."""

    id: ObjectId
    organization_id: ObjectId
    collection: str
    name: str
    email: str
    kept_id: ObjectId
    noted_at: datetime


def note_duplicate(tx: Tx, collection: str, record: dict[str, Any], kept_id: ObjectId) -> None:
    """Note in the caller's transaction that the record's address leads to another record."""
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


def list_duplicates(organization_id: ObjectId | None = None) -> Iterator[DuplicatePair]:
    """Yield the duplicates that staff have not decided yet, oldest records first.

    Args:
        organization_id: the organization; None for all organizations.
    """
    query = {} if organization_id is None else {"organization_id": organization_id}
    for noted in get_db().duplicates.find(query).sort("_id", 1):
        record = get_db()[noted["collection"]].find_one(
            {"_id": noted["_id"]}, DUPLICATE_RECORD_FIELDS
        )
        if record is None or not _is_open(record):
            continue
        yield DuplicatePair(
            noted["_id"],
            noted["organization_id"],
            noted["collection"],
            show_name(record["name"], noted["_id"]),
            show_address(record["email"]),
            noted["kept_id"],
            noted["noted_at"],
        )


def _is_open(record: dict[str, Any]) -> bool:
    """Return whether the duplicate remains, because staff neither deleted nor changed it."""
    if record.get("deleted_at"):
        return False
    return bool(record.get("address") != to_canonical(record["email"]))
