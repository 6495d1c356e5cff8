"""The declarations of counters: the counter, the record that has it, and the records it counts.

    CounterCache("donations_count", of=Donation, on=Fundraiser, when=counts)
    CounterCache("raised", of=Donation, on=Fundraiser, when=counts, amount=net, by=currency)
    LatestCache("last_donated_at", of=Donation, on=User, at="donated_at", where={...})

The functions take a row (the stored fields as a dictionary) and are pure, so the same declaration
serves settling, recounting and tests. The type of the rows is yours, such as a `TypedDict`:

    CounterCache[ArticleRow](field="articles_count", of=Article, on=User,
                             when=lambda article: article["state"] == "published")
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any, Generic, TypeVar

from .contribution import Amounts, Contribution, Target, total
from .transaction import Tx

RowT_contra = TypeVar("RowT_contra", contravariant=True)  # the rows of one source

ALWAYS: Callable[[object], bool] = lambda row: True  # noqa: E731
ONE: Callable[[object], int] = lambda row: 1  # noqa: E731
OnWrite = Callable[[Tx, Sequence[Target]], None]
# What makes a counter: its field, when, amount and by.
Counters = tuple[
    tuple[str, Callable[[Any], bool], Callable[[Any], int], Callable[[Any], str] | None], ...
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cache:
    """What counters and latest times have in common: a field `of` sources kept `on` targets."""

    field: str
    of: type
    on: type
    via: str = ""  # the source's field that holds the target's id; <target>_id unless said

    @cached_property
    def source(self) -> str:
        """The collection that is counted."""
        return collection(self.of)

    @cached_property
    def target(self) -> str:
        """The collection that holds the counter."""
        return collection(self.on)

    @cached_property
    def link(self) -> str:
        """The source's field that names the target."""
        return self.via or f"{self.on.__name__.lower()}_id"


@dataclass(frozen=True, kw_only=True, eq=False)
class CounterCache(Cache, Generic[RowT_contra]):
    """A count, or with `amount` a sum, of the sources for which `when` holds; `by` splits it.

    `reads` names the fields that these functions read, of simple values. If all counters of a
    source name theirs, a recount reads only these fields, and computes equal rows once.
    """

    reads: tuple[str, ...] | None = None
    when: Callable[[RowT_contra], bool] = ALWAYS
    amount: Callable[[RowT_contra], int] = ONE
    by: Callable[[RowT_contra], str] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class LatestCache(Cache):
    """The latest time `at` of the sources that match the query `where`; unset when there is none.

    A maximum cannot be taken back by subtraction, so it is read again from the sources, on an
    index of (link, at), whenever a source of the target changes its contribution. So its sources
    must be counted by something as well.
    """

    at: str
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Flag(Generic[RowT_contra]):
    """A yes or no that follows from a record's own counters, e.g. donated: donations_count > 0."""

    field: str
    on: type
    when: Callable[[RowT_contra], bool]


def collection(document: type) -> str:
    """The MongoDB collection of a MongoEngine document class."""
    name: str = document._get_collection_name()  # type: ignore[attr-defined]
    return name


class Ledger:
    """All declarations of an application, and the order in which counters depend on each other.

    Args:
        caches: the declarations. What they say must have no cycle.
        flags: what follows from the counters of records that are sources themselves.
        created_on_demand: targets that come into being with their first counter, and how a new
            one is made from its id.
        on_write: told within each transaction which records it writes, as (collection, id).
        settled_alone: sources whose settling does more than count. If one that is due is the target
            of another, the engine increments its counters, and it stays due. Its own settling then
            counts it.
    """

    def __init__(
        self,
        caches: Sequence[Cache],
        *,
        flags: Sequence[Flag[Any]] = (),
        created_on_demand: Mapping[type, Callable[[Any], Mapping[str, Any]]] | None = None,
        on_write: OnWrite | None = None,
        settled_alone: Iterable[type] = (),
    ) -> None:
        self.on_write = on_write or (lambda tx, targets: None)
        self.settled_alone = frozenset(map(collection, settled_alone))
        self.caches = tuple(caches)
        self.created = {collection(on): new for on, new in (created_on_demand or {}).items()}
        names: dict[str, type] = {}
        graph: dict[str, set[str]] = {}
        for cache in self.caches:
            names |= {cache.source: cache.of, cache.target: cache.on}
            graph.setdefault(cache.target, set()).add(cache.source)
        self.documents = names
        # Sources before what counts them. Counted last is written last: the hot documents, which
        # everybody increments, are held for the shortest time.
        self.order = tuple(TopologicalSorter(graph).static_order())
        self.counters = {
            name: tuple(c for c in caches if isinstance(c, CounterCache) and c.source == name)
            for name in self.order
        }
        self._bundles = {name: _bundles(counters) for name, counters in self.counters.items()}
        self.flags = {
            name: tuple(flag for flag in flags if collection(flag.on) == name)
            for name in self.order
        }
        for cache in self.caches:
            if not self.counters[cache.source]:
                raise ValueError(f"{cache.field}: nothing counts {cache.source}; see LatestCache")
        self.latest = {
            name: tuple(c for c in caches if isinstance(c, LatestCache) and c.target == name)
            for name in self.order
        }

    def contribution(self, source: str, row: Mapping[str, Any]) -> Contribution:
        """Return what this row of this collection contributes now. A deleted row: nothing."""
        result: Contribution = {}
        if row.get("deleted_at") is not None:
            return result
        for places, counters in self._bundles[source]:
            targets = [(name, row[link]) for name, link in places if row.get(link) is not None]
            if targets and (amounts := _amounts(counters, row)):
                for target in targets:
                    if target in result:
                        result = total((result, {target: amounts}))
                    else:
                        result[target] = amounts
        return result

    def reads(self, source: str) -> tuple[str, ...] | None:
        """Return the fields that decide a source's amounts, if all its counters name theirs."""
        fields: set[str] = {"deleted_at"}
        for counter in self.counters[source]:
            if counter.reads is None:
                return None
            fields |= set(counter.reads)
        return tuple(sorted(fields))


def _bundles(caches: Sequence[CounterCache[Any]]) -> list[tuple[list[tuple[str, str]], Counters]]:
    """The counters of a source by where they are kept, as (collection, link).

    A fundraiser and a mailing count the same of an email: what is the same is computed once.
    """
    by_place: dict[tuple[str, str], list[CounterCache[Any]]] = {}
    for cache in caches:
        by_place.setdefault((cache.target, cache.link), []).append(cache)
    bundles: dict[Counters, list[tuple[str, str]]] = {}
    for place, kept in by_place.items():
        counters = tuple((cache.field, cache.when, cache.amount, cache.by) for cache in kept)
        bundles.setdefault(counters, []).append(place)
    return [(places, counters) for counters, places in bundles.items()]


def _amounts(counters: Counters, row: Mapping[str, Any]) -> Amounts:
    amounts: Amounts = {}
    for name, when, amount_of, by in counters:
        if (when is ALWAYS or when(row)) and (amount := 1 if amount_of is ONE else amount_of(row)):
            path = f"{name}.{by(row)}" if by else name
            amounts[path] = amounts.get(path, 0) + amount
    return amounts
