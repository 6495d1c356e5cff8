"""Recount: compares every counter with the records that it counts, while traffic continues.

It reads records page by page, at one snapshot. Settling is one transaction. So at the snapshot, a
counter must equal the sum of its sources' stored contributions (`counted`). The stored contribution
of a source that is not due must equal its current one.
"""

from collections.abc import Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any

from .caches import Cache, CounterCache, Ledger
from .contribution import Amounts, from_stored
from .due import DUE_FILTER
from .index_table import find_wrong_rows
from .latest import find_latest_times
from .links import find_sources
from .transaction import Tx
from .truth import ExpectedCounters, has_counted_field

COMPARED_ROWS_PER_PAGE = 5_000


@dataclass(frozen=True)
class Drift:
    """An incorrect counter, with its actual and its expected value."""

    collection: str
    id: Any
    field: str
    actual: Any
    expected: Any


@dataclass(frozen=True)
class Page:
    """Compared records: the last ID (None at the end), their number, and the incorrect counters.

    Attributes:
        is_last: no record followed when the page was read.
    """

    last_id: Any
    size: int
    drifts: list[Drift]
    is_last: bool = False


def collections(ledger: Ledger) -> list[str]:
    """Return the collections to compare.

    Sources that an insert counts have no counters to compare.
    """
    return [
        name
        for name in ledger.order
        if has_counted_field(ledger, name) or any(cache.target == name for cache in ledger.caches)
    ]


def compare(tx: Tx, ledger: Ledger, name: str, query: Mapping[str, Any], after: Any = None) -> Page:
    """Compare the next records of a collection, in the order of their IDs.

    Args:
        tx: transaction with the session of a new snapshot, so that all reads have the same time.
        after: last ID of the previous page.
    """
    return Comparison(tx, ledger).page(name, query, after)


class Comparison:
    """Compares pages of records in one session, which is a snapshot or a transaction."""

    def __init__(self, tx: Tx, ledger: Ledger) -> None:
        self._tx = tx
        self._ledger = ledger
        self._truth = ExpectedCounters(tx, ledger)

    def page(
        self, name: str, query: Mapping[str, Any], after: Any = None, limit: int | None = None
    ) -> Page:
        """Compare the next records of a collection, in the order of their IDs."""
        wanted = query if after is None else {"$and": [query, {"_id": {"$gt": after}}]}
        fields = (
            None if has_counted_field(self._ledger, name) else dict.fromkeys(self._kept(name), 1)
        )
        found = self._tx.database[name].find(wanted, fields, session=self._tx.session)
        limit = limit or COMPARED_ROWS_PER_PAGE
        rows = {row["_id"]: row for row in found.sort("_id", 1).limit(limit)}
        if not rows:
            return Page(None, 0, [], is_last=True)
        drifts = list(self._drifts(name, rows))
        off = {drift.id for drift in drifts}
        right = {id_: row for id_, row in rows.items() if id_ not in off}
        wrong = [*drifts, *self._indexed(name, right)]
        return Page(next(reversed(rows)), len(rows), wrong, is_last=len(rows) < limit)

    def _kept(self, name: str) -> set[str]:
        """Return the fields of a target that the ledger maintains."""
        fields = {_top(cache) for cache in self._ledger.caches if cache.target == name}
        for table in self._ledger.index_tables_of(name):
            fields |= {*table.copied, *table.pending}
        return {"deleted_at", *fields}

    def _drifts(self, name: str, rows: Mapping[Any, Mapping[str, Any]]) -> Iterator[Drift]:
        live = rows
        if any("deleted_at" in row for row in rows.values()):
            live = {id_: row for id_, row in rows.items() if row.get("deleted_at") is None}
        is_target = live and any(cache.target == name for cache in self._ledger.caches)
        # MongoDB computes the sums while this thread computes contributions without it.
        with ThreadPoolExecutor(1) as beside:
            right = beside.submit(self._truth.of, name, live) if is_target else None
            sources = (
                list(self._sources(name, rows)) if has_counted_field(self._ledger, name) else []
            )
        yield from sources
        if right is not None:
            yield from self._targets(name, live, right.result())
            yield from self._latest(name, live)

    def _indexed(self, name: str, rows: Mapping[Any, Any]) -> Iterator[Drift]:
        """Compare index tables with these correct records. A repair of others copies them again."""
        for table in self._ledger.index_tables_of(name):
            if not table.is_filled(self._tx.database):
                continue
            for id_, actual, expected in find_wrong_rows(self._tx, table, rows):
                off = (one for one in table.copied if actual.get(one) != expected.get(one))
                if (field := next(off, None)) is not None:
                    yield Drift(table.name, id_, field, actual.get(field), expected.get(field))

    def _sources(self, name: str, rows: Mapping[Any, Mapping[str, Any]]) -> Iterator[Drift]:
        # the others wait for settling, or have failed
        settled = {id_: row for id_, row in rows.items() if not ("due" in row or "trouble" in row)}
        yield from self._links(name, settled)
        for id_, row in settled.items():
            if has_bad_counter(self._ledger, name, row):
                continue  # its contribution depends on this counter, which is reported separately
            counted, right = from_stored(row.get("counted")), self._ledger.contribution(name, row)
            if counted != right:
                yield Drift(name, id_, "counted", counted, right)

    def _links(self, name: str, settled: Mapping[Any, Mapping[str, Any]]) -> Iterator[Drift]:
        """Compare the rows of the link index, because all other comparisons depend on them."""
        index = self._ledger.link_indexes.get(name)
        if index is not None and settled and index.is_complete():
            rows = [dict(row) for row in settled.values()]
            for id_, actual, right in index.find_different(self._tx, rows):
                yield Drift(index.collection, id_, "links", actual, right)

    def _targets(
        self, name: str, rows: Mapping[Any, Mapping[str, Any]], right: Mapping[Any, Amounts]
    ) -> Iterator[Drift]:
        for id_, row in rows.items():
            says, amounts = flatten_counters(self._ledger, name, row), right.get(id_, {})
            for field in sorted(says.keys() | amounts.keys()) if says != amounts else ():
                if says.get(field, 0) != amounts.get(field, 0):
                    yield Drift(name, id_, field, says.get(field, 0), amounts.get(field, 0))
            if not all(map(is_number, says.values())):
                continue
            for flag in self._ledger.flags[name]:
                if bool(row.get(flag.field)) != flag.when(row):
                    yield Drift(name, id_, flag.field, row.get(flag.field), flag.when(row))

    def _latest(self, name: str, rows: Mapping[Any, Mapping[str, Any]]) -> Iterator[Drift]:
        for cache in self._ledger.latest[name]:
            latest = find_latest_times(self._tx, self._ledger, cache, rows)
            off = {id_: right for id_, right in latest if rows[id_].get(cache.field) != right}
            waiting = self._waiting(cache, off) if off else set()
            for id_, right in off.items():
                if id_ not in waiting:
                    yield Drift(name, id_, cache.field, rows[id_].get(cache.field), right)

    def _waiting(self, cache: Cache, ids: Mapping[Any, Any]) -> set[Any]:
        """Return the targets whose latest time may change when a source is settled."""
        unsettled = {"$or": [DUE_FILTER, {"trouble": {"$exists": True}}]}
        source, link = cache.source, cache.link
        waiting = {id_ for name, id_ in self._truth.moved(source) if name == cache.target}
        for query in find_sources(self._tx, self._ledger, source, [link], ids):
            wanted = {**query, link: {"$in": list(ids)}, **unsettled}
            found = self._tx.database[source].find(wanted, {link: 1}, session=self._tx.session)
            waiting |= {row[link] for row in found}
        return waiting


def has_bad_counter(ledger: Ledger, name: str, row: Mapping[str, Any]) -> bool:
    """Return whether a counter of this target has a value other than a number."""
    return not all(map(is_number, flatten_counters(ledger, name, row).values()))


def is_number(value: Any) -> bool:
    """Return whether `$inc` can correct this value of a counter."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def flatten_counters(ledger: Ledger, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the target's counters by dotted path, without zeros."""
    result: dict[str, Any] = {}
    fields, single = _counted_on(ledger, name)
    for field in fields:
        if field in row:
            _flatten(field, row[field], single, result)
    return result


def _flatten(path: str, value: Any, single: Container[str], into: dict[str, Any]) -> None:
    if isinstance(value, dict) and path not in single:
        for name, inner in value.items():
            _flatten(f"{path}.{name}", inner, single, into)
    elif value or not is_number(value):
        into[path] = value


@lru_cache
def _counted_on(ledger: Ledger, name: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return a target's fields with counters, and the paths that hold a single number."""
    counters = [
        one for one in ledger.caches if isinstance(one, CounterCache) and one.target == name
    ]
    return frozenset(map(_top, counters)), frozenset(c.field for c in counters if not c.is_keyed)


def _top(cache: Cache) -> str:
    return cache.field.split(".")[0]
