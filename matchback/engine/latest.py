"""Latest times. Subtraction cannot undo a maximum, so the engine reads the sources again."""

from collections.abc import Iterable, Iterator
from typing import Any

from .caches import LatestCache, Ledger
from .contribution import Contribution, StoredDocument
from .links import find_sources
from .transaction import Tx

SETTLED_FILTER = {"due": None, "trouble": None}


def list_lowered(cache: LatestCache, row: StoredDocument, before: Contribution) -> Iterator[Any]:
    """Yield the targets whose latest time may fall, because they counted this row or its old form.

    A row that its target has not counted can only raise the time.
    """
    yield from (id_ for collection, id_ in before if collection == cache.target)
    if row.get(cache.link) is not None and not (cache.is_plain and cache.covers(row)):
        yield row[cache.link]


def find_raised(cache: LatestCache, row: StoredDocument) -> Any:
    """Return the target whose latest time this row may raise, or None."""
    if cache.is_plain and row.get(cache.at) is not None and cache.covers(row):
        return row.get(cache.link)
    return None


def find_latest_times(
    tx: Tx, ledger: Ledger, cache: LatestCache, ids: Iterable[Any]
) -> list[tuple[Any, Any]]:
    """Return each ID with the latest time of its sources, or with None if it has none.

    A due source counts only for targets in its `counted`. Its link may change before settling. No
    later run would then correct the target of the current link.
    """
    wanted = list(ids)
    if not wanted:
        return []
    latest: dict[Any, Any] = {}
    for query in find_sources(tx, ledger, cache.source, [cache.link], wanted):
        linked = {cache.link: {"$in": wanted}, "deleted_at": None, **cache.where}
        found = tx.database[cache.source].aggregate(
            [
                {"$match": {**query, **linked}},
                {
                    "$match": {
                        "$or": [SETTLED_FILTER, {"$expr": _has_counted_towards(f"${cache.link}")}]
                    }
                },
                {"$group": {"_id": f"${cache.link}", "latest": {"$max": f"${cache.at}"}}},
            ],
            session=tx.session,
        )
        for row in found:
            known = latest.get(row["_id"])
            latest[row["_id"]] = row["latest"] if known is None else max(known, row["latest"])
    return [(id_, latest.get(id_)) for id_ in wanted]


def _has_counted_towards(target: str) -> dict[str, Any]:
    """Return the condition that a source's `counted` names this target."""
    shares = {"$ifNull": ["$counted", []]}
    return {
        "$anyElementTrue": {
            "$map": {"input": shares, "as": "share", "in": {"$in": [target, "$$share"]}}
        }
    }
