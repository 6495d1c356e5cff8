"""Repair of incorrect counters, while traffic continues and other repairs run."""

from collections.abc import Mapping
from typing import Any

from .caches import Ledger
from .contribution import StoredDocument, from_stored
from .index_table import call, copy_again
from .latest import SETTLED_FILTER, find_latest_times
from .recount import Drift, flatten_counters, has_bad_counter, is_number
from .settle import Changes, settle
from .transaction import Tx
from .truth import ExpectedCounters, has_counted_field


def repair(tx: Tx, ledger: Ledger, drift: Drift) -> bool:
    """Correct a counter in a transaction. Return whether it was still incorrect.

    The transaction compares the counter again. So the drift may be old, and several repairs may run
    at once.
    """
    name = drift.collection
    if tables := [table for table in ledger.index_tables if table.name == name]:
        return sum(copy_again(tx, table, [drift.id]) for table in tables) > 0
    if (source := _indexed_source(ledger, name)) is not None:
        return _repair_links(tx, ledger, source, drift)
    if drift.field in {cache.field for cache in ledger.latest[name]}:
        is_changed = _repair_latest(tx, ledger, drift)
    elif isinstance(drift.expected, int) and not isinstance(drift.expected, bool):
        is_changed = _repair_counter(tx, ledger, drift)
    else:
        is_changed = False  # settling corrects `counted` and flags
    is_settled = has_counted_field(ledger, name) and _settle_again(tx, ledger, drift)
    if not (is_changed or is_settled):
        tx.abort()
        return False
    for table in ledger.index_tables_of(name):
        copy_again(tx, table, [drift.id])
    ledger.on_write(tx, [(name, drift.id)])
    return True


def _indexed_source(ledger: Ledger, name: str) -> str | None:
    """Return the source whose link index has this name, or None."""
    indexes = ledger.link_indexes.items()
    return next((source for source, index in indexes if index.collection == name), None)


def _repair_links(tx: Tx, ledger: Ledger, source: str, drift: Drift) -> bool:
    index = ledger.link_indexes[source]
    settled = {"_id": drift.id, **SETTLED_FILTER}
    row = tx.database[source].find_one(settled, session=tx.session)
    if row is None or not any(index.find_different(tx, [row])):
        tx.abort()
        return False
    index.write(tx, [row])
    return True


def _repair_counter(tx: Tx, ledger: Ledger, drift: Drift) -> bool:
    if not is_number(drift.actual):
        return _replace(tx, ledger, drift)
    found: int = drift.expected - drift.actual
    # The first write blocks settling and other repairs of the record until the commit. Otherwise, a
    # record that settling writes constantly would never be repaired.
    row = _increase(tx, drift, found)
    if row is None:
        return _replace(tx, ledger, drift)
    now = flatten_counters(ledger, drift.collection, row).get(drift.field, 0)
    rest: int = _right(tx, ledger, drift) - now
    if rest:
        _increase(tx, drift, rest)
    _note(tx, ledger, drift, found + rest)
    return found + rest != 0


def _replace(tx: Tx, ledger: Ledger, drift: Drift) -> bool:
    """Replace a value that `$inc` cannot change. Return whether it was still stored."""
    live = {"_id": drift.id, "deleted_at": None}
    row = tx.database[drift.collection].find_one(live, session=tx.session)
    wrong = row and _obstacle(row, drift.field)
    if not wrong:
        return False
    # Unset it, because counters with longer paths may need this place.
    tx.database[drift.collection].update_one(live, {"$unset": {wrong: ""}}, session=tx.session)
    if right := _right(tx, ledger, drift):
        _increase(tx, drift, right)
        _note(tx, ledger, drift, right)
    return True


def _note(tx: Tx, ledger: Ledger, drift: Drift, amount: int) -> None:
    if amount and (journal := ledger.find_journal(drift.collection)):
        journal.note(tx, {drift.id: {drift.field: amount}}, call)


def _obstacle(row: Mapping[str, Any], path: str) -> str | None:
    """Return the part of a dotted path where a value blocks a number or a nested name, or None."""
    *parents, name = path.split(".")
    place: Any = row
    for depth, parent in enumerate(parents, 1):
        if parent not in place:
            return None
        place = place[parent]
        if not isinstance(place, dict):
            return ".".join(parents[:depth])
    return path if name in place and not is_number(place[name]) else None


def _right(tx: Tx, ledger: Ledger, drift: Drift) -> Any:
    top = drift.field.split(".")[0]
    right = ExpectedCounters(tx, ledger, drift.id).of(drift.collection, [drift.id], top)
    return right.get(drift.id, {}).get(drift.field, 0)


def _increase(tx: Tx, drift: Drift, amount: int) -> StoredDocument | None:
    """Add to a counter. Return None if the record is deleted, or `$inc` cannot change the value."""
    live = {"_id": drift.id, "deleted_at": None, "$and": _holds_number(drift.field)}
    row: StoredDocument | None = tx.database[drift.collection].find_one_and_update(
        live, {"$inc": {drift.field: amount}}, return_document=True, session=tx.session
    )
    return row


def _holds_number(path: str) -> list[dict[str, Any]]:
    """Return the conditions that each stored value on a dotted path has the correct type."""
    names = path.split(".")
    types = {".".join(names[:depth]): "object" for depth in range(1, len(names))}
    return [
        {"$or": [{name: {"$exists": False}}, {name: {"$type": kind, "$not": {"$type": "array"}}}]}
        for name, kind in {**types, path: "number"}.items()
    ]


def _repair_latest(tx: Tx, ledger: Ledger, drift: Drift) -> bool:
    is_changed = False
    for cache in ledger.latest[drift.collection]:
        for _, latest in find_latest_times(tx, ledger, cache, [drift.id]):
            change = {"$set": {cache.field: latest}} if latest else {"$unset": {cache.field: ""}}
            done = tx.database[drift.collection].update_one(
                {"_id": drift.id}, change, session=tx.session
            )
            is_changed = is_changed or done.modified_count > 0
    return is_changed


def _settle_again(tx: Tx, ledger: Ledger, drift: Drift) -> bool:
    """Settle a source whose own counters, flags or `counted` may be incorrect.

    Skip a due source, because it will be settled anyway. Return whether the record was incorrect.
    """
    settled = {"_id": drift.id, **SETTLED_FILTER}
    row = tx.database[drift.collection].find_one(settled, session=tx.session)
    if row is None or has_bad_counter(ledger, drift.collection, row):
        return False  # another drift reports the bad counter
    if _is_right(ledger, drift.collection, row):
        return False
    settle(tx, ledger, Changes(rows={drift.collection: [row]}))
    return True


def _is_right(ledger: Ledger, name: str, row: Mapping[str, Any]) -> bool:
    flags_are_right = all(bool(row.get(one.field)) == one.when(row) for one in ledger.flags[name])
    counted = from_stored(row.get("counted"))
    return flags_are_right and counted == ledger.contribution(name, row)
