"""The queries that the watching thread runs twice a second: one for each collection."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from bson import ObjectId
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from mongoengine import get_db

from documents.concurrency.retries import exclude_postponed
from documents.storage.marks import DUE_FILTER
from documents.values.time import now
from service.dashboard.live.watch import NEWEST_RECORD_COLLECTIONS, WatchedRecord

Digests = dict[WatchedRecord, bytes]

RECORD_DIGEST_BYTES = 16
ORGANIZATION_INDEX = "organization_id_1__id_1"
RAW_CODEC_OPTIONS = CodecOptions(document_class=RawBSONDocument, tz_aware=True)
# How settling keeps its accounts, and how deciding holds what it reads: nothing that is shown.
INTERNAL_FIELDS = (
    "counted due held_at matched_at rematch rematch_due rematch_mailboxes rematch_page".split()
)
HIDDEN_FIELDS_PROJECTION = dict.fromkeys(INTERNAL_FIELDS, 0)

# What is settled within this time is not behind: a worker may be just at it.
BEHIND_TOLERANCE_SECONDS = 2
SETTLED_COLLECTIONS = ("donations", "deliveries")


def digest_records(watched: Iterable[WatchedRecord]) -> Digests:
    """What the records are like now, by whose they are; those that do not exist are left out.

    Raises:
        PyMongoError: the database is away.
    """
    wanted: dict[str, list[WatchedRecord]] = defaultdict(list)
    for one in watched:
        wanted[one.collection].append(one)
    found: Digests = {}
    for collection, those in wanted.items():
        look = _newest if collection in NEWEST_RECORD_COLLECTIONS else _digests_of
        found |= look(collection, those)
    return found


def _newest(name: str, watched: Collection[WatchedRecord]) -> Digests:
    """The newest record's id of each organization: for each, one step in an index, a «distinct
    scan», which MongoDB makes of just this order and `$first`."""
    wanted = [one.organization_id for one in watched if one.id == one.organization_id]
    if not wanted:
        return {}
    rows = get_db()[NEWEST_RECORD_COLLECTIONS[name]].aggregate(
        build_newest_pipeline(wanted), hint=ORGANIZATION_INDEX
    )
    return {WatchedRecord(row["_id"], name, row["_id"]): row["newest"].binary for row in rows}


def build_newest_pipeline(organization_ids: list[ObjectId]) -> list[dict[str, Any]]:
    """The pipeline for it."""
    return [
        {"$match": {"organization_id": {"$in": organization_ids}}},
        {"$sort": {"organization_id": -1, "_id": -1}},
        {"$group": {"_id": "$organization_id", "newest": {"$first": "$_id"}}},
    ]


def _digests_of(collection: str, watched: Collection[WatchedRecord]) -> Digests:
    query = {
        "_id": {"$in": list({one.id for one in watched})},
        "organization_id": {"$in": list({one.organization_id for one in watched})},
    }
    rows = (
        get_db()[collection]
        .with_options(codec_options=RAW_CODEC_OPTIONS)
        .find(query, HIDDEN_FIELDS_PROJECTION)
    )
    return {
        WatchedRecord(row["organization_id"], collection, row["_id"]): hashlib.blake2b(
            row.raw, digest_size=RECORD_DIGEST_BYTES
        ).digest()
        for row in rows
    }


def measure_behind_seconds() -> int:
    """How long the oldest gift or webhook post has waited to be counted; 0 when none has for long.

    What failed and is tried again later keeps no figure waiting.

    Raises:
        PyMongoError: the database is away.
    """
    at = now()
    query = {**DUE_FILTER, **exclude_postponed(at)}
    rows = [
        get_db()[name].find_one(query, {"_id": 0, "due": 1}, sort=[("due", 1)])
        for name in SETTLED_COLLECTIONS
    ]
    waits = [(at - row["due"]).total_seconds() for row in rows if row]
    longest = int(max(waits, default=0))
    return longest if longest >= BEHIND_TOLERANCE_SECONDS else 0
