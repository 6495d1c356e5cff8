"""Declarations: which counter of which record is kept from which records.

    CounterCache("donations_count", of=Donation, on=Fundraiser, when=counts)
    CounterCache("raised", of=Donation, on=Fundraiser, when=counts, amount=net, by=currency)
    LatestCache("last_donated_at", of=Donation, on=User, at="donated_at", where={...})

The functions take a row (the stored fields as a dictionary) and are pure, so that the same
declaration serves settling, recounting and tests.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents.engine.contribution import Contribution, Row, Target

ALWAYS: Callable[[Row], bool] = lambda row: True  # noqa: E731
ONE: Callable[[Row], int] = lambda row: 1  # noqa: E731
OnWrite = Callable[[Database, ClientSession, Sequence[Target]], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cache:
    """What counters and latest times have in common: a field `of` sources kept `on` targets."""

    field: str
    of: type
    on: type
    via: str = ""  # the source's field that holds the target's id; <target>_id unless said

    @property
    def source(self) -> str:
        """The collection that is counted."""
        return collection(self.of)

    @property
    def target(self) -> str:
        """The collection that holds the counter."""
        return collection(self.on)

    @cached_property
    def link(self) -> str:
        """The source's field that names the target."""
        return self.via or f"{self.on.__name__.lower()}_id"


@dataclass(frozen=True, kw_only=True, eq=False)
class CounterCache(Cache):
    """A count, or with `amount` a sum, of the sources for which `when` holds; `by` splits it."""

    when: Callable[[Row], bool] = ALWAYS
    amount: Callable[[Row], int] = ONE
    by: Callable[[Row], str] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class LatestCache(Cache):
    """The latest time `at` of the sources that match the query `where`; unset when there is none.

    A maximum cannot be taken back by subtraction, so it is read again from the sources, on an
    index of (link, at), whenever a source of the target changes its contribution.
    """

    at: str
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Flag:
    """A yes or no that follows from a record's own counters, e.g. donated: donations_count > 0."""

    field: str
    on: type
    when: Callable[[Row], bool]


def collection(document: type) -> str:
    """The MongoDB collection of a MongoEngine document class."""
    return document._get_collection_name()  # type: ignore[attr-defined]


class Ledger:
    """All declarations of an application, and the order in which counters depend on each other.

    Args:
        caches: the declarations. What they say must have no cycle.
        flags: what follows from the counters of records that are sources themselves.
        created_on_demand: targets that come into being with their first counter, and how a new
            one is made from its id.
        on_write: told within each transaction which records it writes, as (collection, id).
    """

    def __init__(
        self,
        caches: Sequence[Cache],
        *,
        flags: Sequence[Flag] = (),
        created_on_demand: Mapping[type, Callable[[Any], Row]] | None = None,
        on_write: OnWrite | None = None,
    ) -> None:
        self.on_write = on_write or (lambda database, session, targets: None)
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
        self.flags = {
            name: tuple(flag for flag in flags if collection(flag.on) == name)
            for name in self.order
        }
        self.latest = {
            name: tuple(c for c in caches if isinstance(c, LatestCache) and c.target == name)
            for name in self.order
        }

    def contribution(self, source: str, row: Row) -> Contribution:
        """What this row of this collection contributes now. A deleted one contributes nothing."""
        result: Contribution = {}
        if row.get("deleted_at") is not None:
            return result
        for cache in self.counters[source]:
            target_id = row.get(cache.link)
            if target_id is None or not cache.when(row):
                continue
            amount = cache.amount(row)
            if amount:
                path = f"{cache.field}.{cache.by(row)}" if cache.by else cache.field
                amounts = result.setdefault((cache.target, target_id), {})
                amounts[path] = amounts.get(path, 0) + amount
        return result
