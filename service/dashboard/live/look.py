"""The queries that the watching thread runs twice a second: one for each collection."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from bson import ObjectId
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from mongoengine import get_db

from documents.concurrency.retries import not_postponed
from documents.storage.marks import DUE
from documents.values.time import now
from service.dashboard.live.watch import NEWEST, Watched

Digests = dict[Watched, bytes]

DIGEST_BYTES = 16
BY_ORGANIZATION = "organization_id_1__id_1"
RAW = CodecOptions(document_class=RawBSONDocument, tz_aware=True)
# Fields for settling and matching, which no page shows.
OURS = "counted due held_at matched_at rematch rematch_due rematch_mailboxes rematch_page".split()
UNSHOWN = dict.fromkeys(OURS, 0)

# A worker usually settles records within this time, so they do not count as late.
PATIENCE_SECONDS = 2
COUNTED = ("donations", "deliveries")


def digests(watched: Iterable[Watched]) -> Digests:
    """Return the digests of the records that exist.

    Raises:
        PyMongoError: the database is unavailable.
    """
    wanted: dict[str, list[Watched]] = defaultdict(list)
    for one in watched:
        wanted[one.collection].append(one)
    found: Digests = {}
    for collection, those in wanted.items():
        look = _newest if collection in NEWEST else _digests_of
        found |= look(collection, those)
    return found


def _newest(name: str, watched: Collection[Watched]) -> Digests:
    """Return the ID of each organization's newest record.

    MongoDB turns exactly this order and `$first` into a distinct scan: one index step for each.
    """
    wanted = [one.organization_id for one in watched if one.id == one.organization_id]
    if not wanted:
        return {}
    rows = get_db()[NEWEST[name]].aggregate(newest_of(wanted), hint=BY_ORGANIZATION)
    return {Watched(row["_id"], name, row["_id"]): row["newest"].binary for row in rows}


def newest_of(organization_ids: list[ObjectId]) -> list[dict[str, Any]]:
    """Return the pipeline that finds the newest record of each organization."""
    return [
        {"$match": {"organization_id": {"$in": organization_ids}}},
        {"$sort": {"organization_id": -1, "_id": -1}},
        {"$group": {"_id": "$organization_id", "newest": {"$first": "$_id"}}},
    ]


def _digests_of(collection: str, watched: Collection[Watched]) -> Digests:
    query = {
        "_id": {"$in": list({one.id for one in watched})},
        "organization_id": {"$in": list({one.organization_id for one in watched})},
    }
    rows = get_db()[collection].with_options(codec_options=RAW).find(query, UNSHOWN)
    return {
        Watched(row["organization_id"], collection, row["_id"]): hashlib.blake2b(
            row.raw, digest_size=DIGEST_BYTES
        ).digest()
        for row in rows
    }


def behind_seconds() -> int:
    """Return how long the oldest gift or webhook delivery has waited; 0 if none is late.

    Postponed records do not count, because later records do not wait for them.

    Raises:
        PyMongoError: the database is unavailable.
    """
    at = now()
    query = {**DUE, **not_postponed(at)}
    rows = [
        get_db()[name].find_one(query, {"_id": 0, "due": 1}, sort=[("due", 1)]) for name in COUNTED
    ]
    waits = [(at - row["due"]).total_seconds() for row in rows if row]
    longest = int(max(waits, default=0))
    return longest if longest >= PATIENCE_SECONDS else 0
