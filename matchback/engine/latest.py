"""Latest times. Subtraction cannot undo a maximum, so the engine reads the sources again."""

from collections.abc import Iterable
from typing import Any

from .caches import LatestCache
from .transaction import Tx

SETTLED_FILTER = {"due": None, "trouble": None}


def find_latest_times(tx: Tx, cache: LatestCache, ids: Iterable[Any]) -> list[tuple[Any, Any]]:
    """Return each ID with the latest time of its sources, or with None if it has none.

    A due source counts only for targets in its `counted`. Its link may change before settling. No
    later run would then correct the target of the current link.
    """
    wanted = list(ids)
    if not wanted:
        return []
    found = tx.database[cache.source].aggregate(
        [
            {"$match": {cache.link: {"$in": wanted}, "deleted_at": None, **cache.where}},
            {
                "$match": {
                    "$or": [SETTLED_FILTER, {"$expr": _has_counted_towards(f"${cache.link}")}]
                }
            },
            {"$group": {"_id": f"${cache.link}", "latest": {"$max": f"${cache.at}"}}},
        ],
        session=tx.session,
    )
    latest = {row["_id"]: row["latest"] for row in found}
    return [(id_, latest.get(id_)) for id_ in wanted]


def _has_counted_towards(target: str) -> dict[str, Any]:
    """Return the condition that a source's `counted` names this target."""
    shares = {"$ifNull": ["$counted", []]}
    return {
        "$anyElementTrue": {
            "$map": {"input": shares, "as": "share", "in": {"$in": [target, "$$share"]}}
        }
    }
