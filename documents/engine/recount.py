"""Recount: compare every counter with the records it counts, while traffic goes on.

Everything is read at one snapshot. There, because settling is one transaction, a counter must
equal the sum of what its sources say they contributed (`counted`), and a source that is not due
must have contributed what it is worth now. A difference is constant until it is repaired, so
adding its opposite later is right however much was counted meanwhile.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents.engine.caches import Cache, CounterCache, Ledger
from documents.engine.contribution import Contribution, Row, add, from_stored
from documents.engine.settle import latest_times

TARGETS_A_BATCH = 200
DUE = {"due": {"$type": "date"}}


@dataclass(frozen=True)
class Drift:
    """A counter that is off: what it says and what is right."""

    collection: str
    id: Any
    field: str
    says: Any
    right: Any


def drifts(database: Database, session: ClientSession, ledger: Ledger) -> Iterator[Drift]:
    """Every counter that is off, a batch of targets in memory at a time.

    Args:
        session: a snapshot session, so that all of it is read at one moment.
    """
    for name in ledger.order:
        if ledger.counters[name] and name not in _immutable(ledger):
            yield from _sources(database, session, ledger, name)
    for name in ledger.order:
        if any(cache.target == name for cache in ledger.caches):
            batch: list[Row] = []
            for row in database[name].find({"deleted_at": None}, session=session).sort("_id"):
                batch.append(row)
                if len(batch) == TARGETS_A_BATCH:
                    yield from _targets(database, session, ledger, name, batch)
                    batch = []
            if batch:
                yield from _targets(database, session, ledger, name, batch)


def repair(database: Database, ledger: Ledger, drift: Drift) -> None:
    """Put a counter right. Only for drifts of one recount at a time, each once."""
    where = {"_id": drift.id}
    if drift.field == "counted":  # settling finds the difference by itself
        database[drift.collection].update_one(where, {"$currentDate": {"due": True}})
    elif isinstance(drift.right, int) and not isinstance(drift.right, bool):
        difference = drift.right - (drift.says or 0)
        database[drift.collection].update_one(where, {"$inc": {drift.field: difference}})
    elif drift.right is None:
        database[drift.collection].update_one(where, {"$unset": {drift.field: ""}})
    else:
        database[drift.collection].update_one(where, {"$set": {drift.field: drift.right}})
    if ledger.counters[drift.collection]:
        # What the counter led to (an email that donated, say) may be off as well.
        database[drift.collection].update_one(where, {"$currentDate": {"due": True}})


def _immutable(ledger: Ledger) -> set[str]:
    """Sources that are counted by being stored, and so keep no `counted`."""
    return {
        name for name in ledger.order if ledger.counters[name] and not _has_counted(ledger, name)
    }


def _has_counted(ledger: Ledger, name: str) -> bool:
    return "counted" in ledger.documents[name]._fields  # type: ignore[attr-defined]


def _sources(
    database: Database, session: ClientSession, ledger: Ledger, name: str
) -> Iterator[Drift]:
    for row in database[name].find({"due": {"$exists": False}}, session=session):
        counted, right = from_stored(row.get("counted")), ledger.contribution(name, row)
        if counted != right:
            yield Drift(name, row["_id"], "counted", counted, right)


def _targets(
    database: Database, session: ClientSession, ledger: Ledger, name: str, batch: list[Row]
) -> Iterator[Drift]:
    ids = [row["_id"] for row in batch]
    right = _truth(database, session, ledger, name, ids)
    for row in batch:
        says = _flat(row, ledger, name)
        amounts = right.get((name, row["_id"]), {})
        for field in sorted(says.keys() | amounts.keys()):
            if says.get(field, 0) != amounts.get(field, 0):
                yield Drift(name, row["_id"], field, says.get(field, 0), amounts.get(field, 0))
        for flag in ledger.flags[name]:
            if bool(row.get(flag.field)) != flag.when(row):
                yield Drift(name, row["_id"], flag.field, row.get(flag.field), flag.when(row))
    yield from _latest(database, session, ledger, name, batch)


def _latest(
    database: Database, session: ClientSession, ledger: Ledger, name: str, batch: list[Row]
) -> Iterator[Drift]:
    for cache in ledger.latest[name]:
        rows = {row["_id"]: row for row in batch}
        # A source that is due may move a latest time when it is settled: no drift, but a wait.
        waiting = database[cache.source].find(DUE, {cache.link: 1}, session=session)
        unsettled = {row.get(cache.link) for row in waiting}
        for id_, right in latest_times(database, session, cache, rows):
            says = rows[id_].get(cache.field)
            if says != right and id_ not in unsettled:
                yield Drift(name, id_, cache.field, says, right)


def _truth(
    database: Database, session: ClientSession, ledger: Ledger, name: str, ids: list[Any]
) -> Contribution:
    """What the sources of these targets say they contributed to them."""
    right: Contribution = {}
    links: dict[str, set[str]] = {}
    for cache in ledger.caches:
        if cache.target == name and isinstance(cache, CounterCache):
            links.setdefault(cache.source, set()).add(cache.link)
    for source, fields in links.items():
        counted = _has_counted(ledger, source)
        # A due source may have moved: its `counted` still names the target that it came from.
        wanted: list[Mapping[str, Any]] = [{field: {"$in": ids}} for field in sorted(fields)]
        for row in database[source].find(
            {"$or": [*wanted, DUE] if counted else wanted}, session=session
        ):
            stored = from_stored(row["counted"]) if counted else ledger.contribution(source, row)
            add(right, {target: stored[target] for target in stored if target[1] in ids})
    return right


def _flat(row: Row, ledger: Ledger, name: str) -> dict[str, int]:
    """The target's counters by dotted path."""
    result: dict[str, int] = {}
    for field in {_top(cache) for cache in ledger.caches if _counts_on(cache, name)}:
        _flatten(field, row.get(field, 0), result)
    return result


def _counts_on(cache: Cache, name: str) -> bool:
    return cache.target == name and isinstance(cache, CounterCache)


def _top(cache: Cache) -> str:
    return cache.field.split(".")[0]


def _flatten(path: str, value: Any, into: dict[str, int]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _flatten(f"{path}.{name}", inner, into)
    else:
        into[path] = value
