"""Declarations of counters: the counter, the record that has it, and the records it counts.

    CounterCache("donations_count", of=Donation, on=Fundraiser, when=counts)
    CounterCache("raised", of=Donation, on=Fundraiser, when=counts, amount=net, by=currency)

    LatestCache("last_donated_at", of=Donation, on=User, at="donated_at", where={...})

The functions take a row (the stored fields as a dictionary) and are pure. So the same declaration
serves settling, recounts and tests. You choose the type of the rows, such as a `TypedDict`:

    CounterCache[ArticleRow](field="articles_count", of=Article, on=User,
                             when=lambda article: article["state"] == "published")
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any, Generic, TypeVar

from .bundles import (
    COUNT_AS_ONE,
    COUNT_EVERY_ROW,
    KnownAmounts,
    build_shares,
    group_counters,
    has_distinct_targets,
    list_targets,
    plan_shares,
)
from .contribution import Contribution, StoredShare, Target, sum_contributions
from .index_table import IndexTable
from .journal import Journal
from .links import LinkIndex, LinkScope
from .observer import Observer
from .transaction import Tx

T = TypeVar("T")
RowT_contra = TypeVar("RowT_contra", contravariant=True)  # the rows of one source

WriteHook = Callable[[Tx, Sequence[Target]], None]
Signature = Callable[[Any], Hashable]
MAX_KNOWN_SIGNATURES = 10_000  # of one source; then the engine forgets them


@dataclass(frozen=True, kw_only=True, eq=False)
class Cache:
    """The common part of counters and latest times: `field` of targets `on`, from sources `of`.

    via: the source's field with the target's ID, by default <target>_id. For a counter, it may hold
    a list of distinct IDs; the source then counts for each of them.
    """

    field: str
    of: type
    on: type
    via: str = ""

    @cached_property
    def source(self) -> str:
        """Collection of the counted records."""
        return get_collection_name(self.of)

    @cached_property
    def target(self) -> str:
        """Collection of the records with the counter."""
        return get_collection_name(self.on)

    @cached_property
    def link(self) -> str:
        """Field of the source that has the target's ID."""
        return self.via or f"{self.on.__name__.lower()}_id"


@dataclass(frozen=True, kw_only=True, eq=False)
class CounterCache(Cache, Generic[RowT_contra]):
    """A count of the sources for which `when` holds, or with `amount` a sum. `by` splits it.

    `split` replaces `amount` and `by` for a source with several amounts: it returns them by key,
    which can be a dotted path. Its values are computed for each row, so no signature covers them.

    `reads` names the fields that these functions read, which must have simple values. If all
    counters of a source name their fields, a recount reads only these fields, and the engine
    computes rows with equal values once.
    """

    reads: tuple[str, ...] | None = None
    when: Callable[[RowT_contra], bool] = COUNT_EVERY_ROW
    amount: Callable[[RowT_contra], int] = COUNT_AS_ONE
    by: Callable[[RowT_contra], str] | None = None
    split: Callable[[RowT_contra], Mapping[str, int]] | None = None

    @property
    def is_keyed(self) -> bool:
        """True if the counter is an object with a number for each key."""
        return self.by is not None or self.split is not None


@dataclass(frozen=True, kw_only=True, eq=False)
class LatestCache(Cache):
    """The latest time `at` of the sources that match the query `where`; unset without a source.

    A new source raises the time. Subtraction cannot undo a maximum. So when a counted source is
    settled again, the engine reads all sources of its target, by an index on the link. A counter
    must count the same sources.
    """

    at: str
    where: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def is_plain(self) -> bool:
        """True if `where` compares fields with simple values, so that no query is necessary."""
        return not any(isinstance(value, (Mapping, list)) for value in self.where.values())

    def covers(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row counts for its target, if `where` is plain."""
        return row.get("deleted_at") is None and all(
            row.get(name) == value for name, value in self.where.items()
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Flag(Generic[RowT_contra]):
    """A boolean that follows from a record's own counters, e.g. donated: donations_count > 0."""

    field: str
    on: type
    when: Callable[[RowT_contra], bool]


def _by_collection(values: Mapping[type, T] | None) -> dict[str, T]:
    return {get_collection_name(document): value for document, value in (values or {}).items()}


def get_collection_name(document: type) -> str:
    """Return the MongoDB collection of a MongoEngine document class."""
    name: str = document._get_collection_name()  # type: ignore[attr-defined]
    return name


class Ledger:
    """All declarations of an application, and the order in which counters depend on each other.

    Args:
        caches: declarations of counters and latest times, without a cycle.
        flags: booleans that follow from counters of records that are also sources.
        created_on_demand: targets that their first counter creates, with a function from the ID to
            the new row.
        on_write: called within each transaction with the records that it writes, as (collection,
            ID).
        settled_alone: sources whose settling does more than count. If a due one is the target of
            another source, the engine increments its counters and leaves it due. Its own settling
            then counts it.
        signatures: functions of a source's row. Rows with an equal signature must have equal
            amounts, so the engine computes these once. By default, the values of all `reads`.
        index_tables: collections that repeat fields of targets, so that queries find them.
        link_indexes: collections by which the engine finds sources; see `LinkIndex`.
        link_scopes: for links without an index, a function of the transaction and target IDs. It
            returns a condition on indexed fields that all sources of these targets meet.
        unmarked_after_commit: sources whose due marks are removed after the commit. This suits
            sources with many indexes, because the mark has one, too. Each has the fields that show
            a later change: every write that sets the mark must also change one of them. After a
            crash before the removal, the source is settled again, with no difference.
        journal: keeps what settlements add to some targets; see `Journal`.
        observers: functions that create the observers of a settlement, with the sources that each
            observer follows.
    """

    def __init__(
        self,
        caches: Sequence[Cache],
        *,
        flags: Sequence[Flag[Any]] = (),
        created_on_demand: Mapping[type, Callable[[Any], Mapping[str, Any]]] | None = None,
        on_write: WriteHook | None = None,
        settled_alone: Iterable[type] = (),
        signatures: Mapping[type, Signature] | None = None,
        index_tables: Sequence[IndexTable] = (),
        link_indexes: Mapping[type, LinkIndex] | None = None,
        link_scopes: Mapping[tuple[type, str], LinkScope] | None = None,
        unmarked_after_commit: Mapping[type, Sequence[str]] | None = None,
        journal: Journal | None = None,
        observers: Mapping[Callable[[Tx], Observer], Iterable[type]] | None = None,
    ) -> None:
        self.observers = {
            observe: frozenset(map(get_collection_name, of))
            for observe, of in (observers or {}).items()
        }
        self.journal = journal
        self.on_write = on_write or (lambda tx, targets: None)
        self.settled_alone = frozenset(map(get_collection_name, settled_alone))
        self.caches = tuple(caches)
        self.index_tables = tuple(index_tables)
        self.created = _by_collection(created_on_demand)
        self.link_indexes = _by_collection(link_indexes)
        self.link_scopes = {
            (get_collection_name(of), link): scope
            for (of, link), scope in (link_scopes or {}).items()
        }
        self.unmarked_after_commit = _by_collection(unmarked_after_commit)
        names: dict[str, type] = {}
        graph: dict[str, set[str]] = {}
        for cache in self.caches:
            names |= {cache.source: cache.of, cache.target: cache.on}
            graph.setdefault(cache.target, set()).add(cache.source)
        self.documents = names
        # Sources come before the records that count them. The last writes are those to hot
        # documents, so that a transaction blocks them for the shortest time.
        self.order = tuple(TopologicalSorter(graph).static_order())
        self.counters = {
            name: tuple(c for c in caches if isinstance(c, CounterCache) and c.source == name)
            for name in self.order
        }
        self._bundles = {name: group_counters(counters) for name, counters in self.counters.items()}
        self._signatures = {
            name: _sign_fields(fields)
            for name in self.order
            if self.counters[name] and (fields := self.reads(name)) is not None
        } | {get_collection_name(of): sign for of, sign in (signatures or {}).items()}
        self._known: dict[str, dict[Hashable, KnownAmounts]] = {name: {} for name in self.order}
        self.flags = {
            name: tuple(flag for flag in flags if get_collection_name(flag.on) == name)
            for name in self.order
        }
        for cache in self.caches:
            if not self.counters[cache.source]:
                raise ValueError(f"{cache.field}: nothing counts {cache.source}; see LatestCache")
        self.latest = {
            name: tuple(c for c in caches if isinstance(c, LatestCache) and c.target == name)
            for name in self.order
        }
        self.latest_of = {
            name: tuple(c for c in caches if isinstance(c, LatestCache) and c.source == name)
            for name in self.order
        }
        self._shared = {
            name
            for name in self._signatures
            if has_distinct_targets(self._bundles[name]) and not self.latest_of[name]
        }

    def find_journal(self, name: str) -> Journal | None:
        """Return the journal of a collection's counters, or None if it has none."""
        return self.journal if self.journal and name in self.journal.names else None

    def index_tables_of(self, name: str) -> tuple[IndexTable, ...]:
        """Return the index tables of a collection's records."""
        return tuple(table for table in self.index_tables if table.source == name)

    def contribution(self, source: str, row: Mapping[str, Any]) -> Contribution:
        """Return the current contribution of a collection's row.

        A deleted row contributes nothing.
        """
        result: Contribution = {}
        if row.get("deleted_at") is not None:
            return result
        known = self._recall(source, row).by_number if source in self._signatures else {}
        for bundle in self._bundles[source]:
            targets = list_targets(bundle.places, row)
            if targets and (amounts := bundle.find_amounts(row, known)):
                for target in targets:
                    number = len(result)
                    result.setdefault(target, amounts)
                    if len(result) == number:  # another link leads to the same target
                        result = sum_contributions((result, {target: amounts}))
        return result

    def can_share(self, source: str) -> bool:
        """Return whether `shares` gives the contributions of this source.

        A source needs a signature, at most one target in each collection, and no latest times.
        """
        return source in self._shared

    def shares(self, source: str, row: Mapping[str, Any]) -> list[StoredShare]:
        """Return the stored form of a row's contribution. See `to_stored`."""
        if row.get("deleted_at") is not None:
            return []
        known = self._recall(source, row)
        if (plan := known.plan) is None:
            plan = known.plan = plan_shares(self._bundles[source], row, known.by_number)
        return build_shares(plan, row)

    def _recall(self, source: str, row: Mapping[str, Any]) -> KnownAmounts:
        """Return the known amounts of rows with this row's signature."""
        known, signature = self._known[source], self._signatures[source](row)
        if (amounts := known.get(signature)) is None:
            if len(known) > MAX_KNOWN_SIGNATURES:
                known.clear()
            amounts = known[signature] = KnownAmounts()
        return amounts

    def reads(self, source: str) -> tuple[str, ...] | None:
        """Return the fields that decide a source's amounts, if all its counters name theirs."""
        fields: set[str] = {"deleted_at"}
        for counter in self.counters[source]:
            if counter.reads is None:
                return None
            fields |= set(counter.reads)
        return tuple(sorted(fields))


def _sign_fields(fields: Sequence[str]) -> Signature:
    return lambda row: tuple(map(row.get, fields))
