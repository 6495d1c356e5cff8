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
from documents.storage.due_groups import find_oldest
from documents.values.time import now
from service.dashboard.live.watch import NEWEST_RECORD_COLLECTIONS, WatchedRecord

Digests = dict[WatchedRecord, bytes]

RECORD_DIGEST_BYTES = 16
ORGANIZATION_INDEX = "organization_id_1__id_1"
RAW_CODEC_OPTIONS = CodecOptions(document_class=RawBSONDocument, tz_aware=True)
# Fields for settling and matching, which no page shows.
INTERNAL_FIELDS = (
    "counted due held_at matched_at rematch rematch_due rematch_mailboxes rematch_page".split()
)
HIDDEN_FIELDS_PROJECTION = dict.fromkeys(INTERNAL_FIELDS, 0)

# A worker usually settles records within this time, so they do not count as late.
BEHIND_TOLERANCE_SECONDS = 2
SETTLED_COLLECTIONS = ("donations", "deliveries")


def digest_records(watched: Iterable[WatchedRecord]) -> Digests:
    """Return the digests of the records that exist.

    Raises:
        PyMongoError: the database is unavailable.
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
    """Return the ID of each organization's newest record.

    MongoDB turns exactly this order and `$first` into a distinct scan: one index step for each.
    """
    wanted = [one.organization_id for one in watched if one.id == one.organization_id]
    if not wanted:
        return {}
    rows = get_db()[NEWEST_RECORD_COLLECTIONS[name]].aggregate(
        build_newest_pipeline(wanted), hint=ORGANIZATION_INDEX
    )
    return {WatchedRecord(row["_id"], name, row["_id"]): row["newest"].binary for row in rows}


def build_newest_pipeline(organization_ids: list[ObjectId]) -> list[dict[str, Any]]:
    """Return the pipeline that finds the newest record of each organization."""
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
    """Return how long the oldest gift or webhook delivery has waited; 0 if none is late.

    Postponed records do not count, because later records do not wait for them.

    Raises:
        PyMongoError: the database is unavailable.
    """
    at = now()
    rows = [find_oldest(name, **exclude_postponed(at)) for name in SETTLED_COLLECTIONS]
    waits = [(at - row["due"]).total_seconds() for row in rows if row]
    longest = int(max(waits, default=0))
    return longest if longest >= BEHIND_TOLERANCE_SECONDS else 0
