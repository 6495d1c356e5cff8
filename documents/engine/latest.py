"""Latest times, which no subtraction takes back: they are read again from the sources."""

from collections.abc import Iterable
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database

from .caches import LatestCache


def latest_times(
    database: Database, session: ClientSession | None, cache: LatestCache, ids: Iterable[Any]
) -> list[tuple[Any, Any]]:
    """Each id with the latest time of its sources, or with None where it has none left."""
    wanted = list(ids)
    if not wanted:
        return []
    found = database[cache.source].aggregate(
        [
            {"$match": {cache.link: {"$in": wanted}, "deleted_at": None, **cache.where}},
            {"$group": {"_id": f"${cache.link}", "latest": {"$max": f"${cache.at}"}}},
        ],
        session=session,
    )
    latest = {row["_id"]: row["latest"] for row in found}
    return [(id_, latest.get(id_)) for id_ in wanted]
