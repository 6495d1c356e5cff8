"""Recount: compare every counter with the records it counts, while traffic goes on.

A page of records at a time, each read at one snapshot. There, because settling is one transaction,
a counter must equal the sum of what its sources say they contributed (`counted`), and a source
that is not due must have contributed what it is worth now. A difference stays the same until it
is repaired, so adding its opposite later is right however much was counted meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database

from .caches import Cache, CounterCache, Ledger
from .contribution import Contribution, Row, add, from_stored
from .due import DUE
from .latest import latest_times
from .settle import Changes, settle

ROWS_A_PAGE = 200


@dataclass(frozen=True)
class Drift:
    """A counter that is off: what it says and what is right."""

    collection: str
    id: Any
    field: str
    says: Any
    right: Any


@dataclass(frozen=True)
class Page:
    """Some records, compared: the last id (None: no more), how many, and what is off."""

    last_id: Any
    size: int
    drifts: list[Drift]


def collections(ledger: Ledger) -> list[str]:
    """What is to be compared. Records counted by being stored hold nothing that could be off."""
    return [
        name
        for name in ledger.order
        if _has_counted(ledger, name) or any(cache.target == name for cache in ledger.caches)
    ]


def compare(
    database: Database,
    session: ClientSession,
    ledger: Ledger,
    name: str,
    query: Mapping[str, Any],
    after: Any = None,
) -> Page:
    """Compare the next records of a collection, in the order of their ids.

    Args:
        session: a new snapshot session, so that all of it is read at one moment.
        after: the last id of the page before.
    """
    wanted = {**query, "_id": {"$gt": after}} if after is not None else query
    found = database[name].find(wanted, session=session).sort("_id", 1).limit(ROWS_A_PAGE)
    rows = {row["_id"]: row for row in found}
    drifts: list[Drift] = []
    if _has_counted(ledger, name):
        drifts += _sources(ledger, name, rows)
    live = {id_: row for id_, row in rows.items() if row.get("deleted_at") is None}
    if any(cache.target == name for cache in ledger.caches):
        drifts += _targets(database, session, ledger, name, live)
        drifts += _latest(database, session, ledger, name, live)
    return Page(max(rows, default=None), len(rows), drifts)


def repair(database: Database, session: ClientSession, ledger: Ledger, drift: Drift) -> None:
    """Put a counter right, in a transaction. Each drift once, and by one repairer at a time."""
    name, where = drift.collection, {"_id": drift.id}
    if drift.field in {cache.field for cache in ledger.latest[name]}:
        for cache in ledger.latest[name]:  # as it is by now, which is not what was found
            for _, latest in latest_times(database, session, cache, [drift.id]):
                change = (
                    {"$set": {cache.field: latest}} if latest else {"$unset": {cache.field: ""}}
                )
                database[name].update_one(where, change, session=session)
    elif isinstance(drift.right, int) and not isinstance(drift.right, bool):
        change = {"$inc": {drift.field: drift.right - (drift.says or 0)}}
        database[name].update_one(where, change, session=session)
    ledger.on_write(database, session, [(name, drift.id)])
    if not _has_counted(ledger, name):
        return
    # What it counts towards may be off as well, and so may what it says it counted: settle it.
    # One that is due is settled anyway.
    settled = {**where, "due": None, "trouble": None}
    row = database[name].find_one(settled, session=session)
    if row is not None:
        settle(database, session, ledger, Changes(rows={name: [row]}))


def _has_counted(ledger: Ledger, name: str) -> bool:
    return "counted" in ledger.documents[name]._fields  # type: ignore[attr-defined]


def _sources(ledger: Ledger, name: str, rows: Mapping[Any, Row]) -> list[Drift]:
    drifts = []
    for id_, row in rows.items():
        if "due" in row or "trouble" in row:
            continue  # waits, or is known to be failed
        counted, right = from_stored(row.get("counted")), ledger.contribution(name, row)
        if counted != right:
            drifts.append(Drift(name, id_, "counted", counted, right))
    return drifts


def _targets(
    database: Database, session: ClientSession, ledger: Ledger, name: str, rows: Mapping[Any, Row]
) -> list[Drift]:
    drifts = []
    right = _truth(database, session, ledger, name, rows)
    for id_, row in rows.items():
        says = _flat(row, ledger, name)
        amounts = right.get((name, id_), {})
        for field in sorted(says.keys() | amounts.keys()):
            if says.get(field, 0) != amounts.get(field, 0):
                drifts.append(Drift(name, id_, field, says.get(field, 0), amounts.get(field, 0)))
        for flag in ledger.flags[name]:
            if bool(row.get(flag.field)) != flag.when(row):
                drifts.append(Drift(name, id_, flag.field, row.get(flag.field), flag.when(row)))
    return drifts


def _latest(
    database: Database, session: ClientSession, ledger: Ledger, name: str, rows: Mapping[Any, Row]
) -> list[Drift]:
    drifts = []
    for cache in ledger.latest[name]:
        # A source that is due may move a latest time when it is settled: no drift, but a wait.
        waiting = database[cache.source].find(DUE, {cache.link: 1}, session=session)
        unsettled = {row.get(cache.link) for row in waiting}
        for id_, right in latest_times(database, session, cache, rows):
            says = rows[id_].get(cache.field)
            if says != right and id_ not in unsettled:
                drifts.append(Drift(name, id_, cache.field, says, right))
    return drifts


def _truth(
    database: Database, session: ClientSession, ledger: Ledger, name: str, rows: Mapping[Any, Row]
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
        wanted: list[Mapping[str, Any]] = [{field: {"$in": list(rows)}} for field in sorted(fields)]
        for row in database[source].find(
            {"$or": [*wanted, DUE] if counted else wanted}, session=session
        ):
            stored = (
                from_stored(row.get("counted")) if counted else ledger.contribution(source, row)
            )
            add(right, {target: stored[target] for target in stored if target[1] in rows})
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
