"""Unrouted items: what a shared account reported, and what belongs to no known organization.

Only the operator sees them. Matchback looks at them again, because an email may be recorded late.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.rows.collections import collection
from documents.rows.shared_post import SharedPostRow
from documents.shared_accounts.owners import make_plan
from documents.shared_accounts.shared_post import LOOK_AGAIN_FILTER, UNROUTED_FILTER
from documents.values.time import now
from matchback.engine import Tx

POSTS_PER_STEP = 500


@dataclass(frozen=True)
class UnroutedCount:
    """The unrouted items of a provider that arrived on a day (UTC), for one reason."""

    provider: str
    day: date
    reason: str
    items: int


@dataclass(frozen=True)
class StoredItem:
    """A stored item that belongs to no organization."""

    post_id: ObjectId
    provider: str
    reason: str
    item: Any


def make_due_again() -> int:
    """Make posts due whose time for another look has come. Return their number."""
    due = {"look_again_at": {**LOOK_AGAIN_FILTER["look_again_at"], "$lte": now()}}
    found = get_db().shared_posts.find(due, {"_id": 1}).sort("look_again_at", 1)
    ids = [row["_id"] for row in found.limit(POSTS_PER_STEP)]
    _make_due(ids)
    return len(ids)


def retry_all(provider: str | None = None) -> int:
    """Make all posts with unrouted items due, for example after a bug fix. Return their number."""
    of_provider = {"provider": provider} if provider else {}
    total, first = 0, ObjectId(bytes(12))
    while ids := _list_ids({**UNROUTED_FILTER, **of_provider, "due": None, "_id": {"$gt": first}}):
        _make_due(ids)
        total, first = total + len(ids), ids[-1]
    return total


def _list_ids(query: dict[str, Any]) -> list[ObjectId]:
    found = get_db().shared_posts.find(query, {"_id": 1}).sort("_id", 1).limit(POSTS_PER_STEP)
    return [row["_id"] for row in found]


def _make_due(ids: list[ObjectId]) -> None:
    if ids:
        get_db().shared_posts.update_many(
            {"_id": {"$in": ids}, "due": None},
            {"$set": {"due": now()}, "$unset": {"look_again_at": "", "trouble": ""}},
        )


def count_unrouted_items(provider: str | None = None) -> list[UnroutedCount]:
    """Return the stored unrouted items by provider, day and reason, newest day first."""
    of_provider = {"provider": provider} if provider else {}
    day = {"$dateToString": {"date": {"$toDate": "$_id"}, "format": "%Y-%m-%d"}}
    pipeline: list[dict[str, Any]] = [
        {"$match": {**UNROUTED_FILTER, **of_provider}},
        {"$project": {"provider": 1, "day": day, "reasons": {"$objectToArray": "$reasons"}}},
        {"$unwind": "$reasons"},
        {
            "$group": {
                "_id": {"provider": "$provider", "day": "$day", "reason": "$reasons.k"},
                "items": {"$sum": "$reasons.v"},
            }
        },
    ]
    found = [
        UnroutedCount(
            row["_id"]["provider"],
            date.fromisoformat(row["_id"]["day"]),
            row["_id"]["reason"],
            row["items"],
        )
        for row in get_db().shared_posts.aggregate(pipeline)
    ]
    return sorted(found, key=lambda one: (-one.day.toordinal(), one.provider, one.reason))


def list_unrouted_items(provider: str | None = None, limit: int = 100) -> Iterator[StoredItem]:
    """Yield stored unrouted items, newest post first. The reason is the current one."""
    of_provider = {"provider": provider} if provider else {}
    posts = collection(get_db(), SharedPostRow).find({**UNROUTED_FILTER, **of_provider})
    left = limit
    for post in posts.sort("_id", -1).batch_size(10):
        plan = make_plan(Tx(get_db()), post)
        for one in plan.unrouted[:left]:
            item = one.item if plan.is_readable else bytes(post["body"]).decode("utf-8", "replace")
            yield StoredItem(post["_id"], post["provider"], one.reason, item)
        left -= len(plan.unrouted[:left])
        if left <= 0:
            return
