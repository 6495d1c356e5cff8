"""Expected counter values: the sums of the stored contributions (`counted`) of sources.

The recount finds sources by their links to the target. A source that has moved keeps its old target
in `counted` until it is settled. So the recount also reads due and failed sources, once for each
session, because their number does not depend on the page.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pymongo.collection import Collection as MongoCollection

from .caches import CounterCache, Ledger
from .contribution import (
    Amounts,
    Contribution,
    StoredDocument,
    add_amounts,
    from_stored,
    list_linked,
    read_share,
)
from .due import DUE_FILTER
from .links import find_sources
from .transaction import Tx

HAS_COUNTED_FILTER = {"counted.0": {"$exists": True}}
FAILED_FILTER = {"trouble.failed_at": {"$type": "date"}}


def has_counted_field(ledger: Ledger, name: str) -> bool:
    """Return whether the records of a collection store their contributions."""
    return "counted" in ledger.documents[name]._fields  # type: ignore[attr-defined]


class ExpectedCounters:
    """Sums over sources, read in one session, which is a snapshot or a transaction.

    Args:
        only: ID of the only target that the caller needs, which limits the reads.
    """

    def __init__(self, tx: Tx, ledger: Ledger, only: Any = None) -> None:
        self._tx = tx
        self._ledger = ledger
        self._only = {} if only is None else _naming(only)
        self._moved: dict[str, Contribution] = {}

    def of(self, name: str, ids: Collection[Any], top: str = "") -> dict[Any, Amounts]:
        """Return the expected counters of these targets by ID, without zeros.

        Args:
            top: limit to counters whose path begins with this name.
        """
        right: dict[Any, Amounts] = {}
        wanted = set(ids)
        for source, links in _links(self._ledger, name, top).items():
            if has_counted_field(self._ledger, source):
                found = self._counted(name, source, links, wanted)
            else:
                found = self._stored(name, source, links, wanted)
            for id_, amounts, number in found:
                _add(right, id_, amounts, number)
        return right

    def moved(self, source: str) -> Contribution:
        """Return the contributions of unsettled sources to targets that they no longer link to."""
        if source not in self._moved:
            links = _links_of(self._ledger, source)
            moved: Contribution = {}
            for row in self._unsettled(source, set().union(*links.values())):
                for target, amounts in from_stored(row["counted"]).items():
                    if target[1] not in _list_all(
                        row.get(link) for link in links.get(target[0], ())
                    ):
                        _add(moved, target, amounts, 1)
            self._moved[source] = moved
        return self._moved[source]

    def _counted(
        self, name: str, source: str, links: list[str], ids: set[Any]
    ) -> Iterator[tuple[Any, Amounts, int]]:
        """Let MongoDB group equal contributions.

        The emails of a mailing have few different ones.
        """
        pipeline: list[dict[str, Any]] = [
            {"$project": dict.fromkeys(["counted", *links], 1)},
            {"$unwind": "$counted"},
            {"$match": {"counted": name}},
            {
                "$group": {
                    "_id": ["$counted", *(f"${link}" for link in links)],
                    "number": {"$sum": 1},
                }
            },
        ]
        for query in find_sources(self._tx, self._ledger, source, links, ids):
            for group in self._tx.database[source].aggregate(
                [{"$match": query}, *pipeline], session=self._tx.session, allowDiskUse=True
            ):
                share, *fields = group["_id"]
                linked = _list_all(fields)
                amounts, targets = read_share(share)
                for place in range(0, len(targets), 2):
                    id_ = targets[place + 1]
                    if targets[place] == name and id_ in linked and id_ in ids:
                        yield id_, amounts, group["number"]
        for (collection, id_), amounts in self.moved(source).items():
            if collection == name and id_ in ids:
                yield id_, amounts, 1

    def _stored(
        self, name: str, source: str, links: list[str], ids: set[Any]
    ) -> Iterator[tuple[Any, Amounts, int]]:
        reads = self._ledger.reads(source)
        fields = None if reads is None else {"_id": 0, **dict.fromkeys([*reads, *links], 1)}
        alike = _Alike(self._ledger, source, reads, links)
        for query in find_sources(self._tx, self._ledger, source, links, ids):
            found = self._tx.database[source].find(query, fields, session=self._tx.session)
            for row in found:
                for (collection, link), amounts in alike.of(row).items():
                    if collection == name and row[link] in ids:
                        yield row[link], amounts, 1

    def _unsettled(self, source: str, links: set[str]) -> Iterator[StoredDocument]:
        """Yield the due and failed sources that have contributed something."""
        collection = self._tx.database[source]
        fields = dict.fromkeys(["counted", *links], 1)
        due = {**HAS_COUNTED_FILTER, **self._only, **DUE_FILTER}
        # MongoDB does not choose an index by group itself, if the query names no group.
        of_due = _find_partial_index(collection, DUE_FILTER)
        yield from collection.find(due, fields, session=self._tx.session, hint=of_due)
        if (index := _find_partial_index(collection, FAILED_FILTER)) is not None:
            failed = {**HAS_COUNTED_FILTER, **self._only, **FAILED_FILTER, "due": None}
            yield from collection.find(failed, fields, session=self._tx.session, hint=index)


class _Alike:
    """Contributions of rows by link. Rows with equal amounts are computed once."""

    def __init__(
        self, ledger: Ledger, source: str, reads: Sequence[str] | None, links: Sequence[str]
    ) -> None:
        self._ledger = ledger
        self._source = source
        self._reads = reads
        self._links = links
        self._known: dict[tuple[Any, ...], Contribution] = {}

    def of(self, row: StoredDocument) -> Contribution:
        """Return the contribution with the link's name in place of the target's ID."""
        if self._reads is None:
            return self._compute(row)
        read = *map(row.get, self._reads), *(row.get(link) is None for link in self._links)
        if (known := self._known.get(read)) is None:
            known = self._known[read] = self._compute(row)
        return known

    def _compute(self, row: StoredDocument) -> Contribution:
        links = {link: link for link in self._links if row.get(link) is not None}
        unlinked = {name: value for name, value in row.items() if name not in self._links}
        return self._ledger.contribution(self._source, unlinked | links)


def _list_all(links: Iterable[Any]) -> list[Any]:
    """Return the target IDs in several link fields."""
    return [id_ for link in links for id_ in list_linked(link)]


def _naming(id_: Any) -> dict[str, Any]:
    """Return the condition that a source has counted towards this target."""
    return {"counted": {"$elemMatch": {"$elemMatch": {"$eq": id_}}}}


def _find_partial_index(
    collection: MongoCollection[StoredDocument], condition: Mapping[str, Any]
) -> str | None:
    """Return the index of the records that match this condition, or None.

    Without an index of failed sources, no sources are set aside.
    """
    for name, index in collection.index_information().items():
        if dict(index.get("partialFilterExpression", {})) == condition:
            return name
    return None


def _links(ledger: Ledger, name: str, top: str = "") -> dict[str, list[str]]:
    """Return the fields by which each source links to targets of this collection."""
    links: dict[str, set[str]] = {}
    for cache in ledger.caches:
        if not (cache.target == name and isinstance(cache, CounterCache)):
            continue
        if not top or cache.field.split(".")[0] == top:
            links.setdefault(cache.source, set()).add(cache.link)
    return {source: sorted(fields) for source, fields in links.items()}


def _links_of(ledger: Ledger, source: str) -> dict[str, set[str]]:
    """Return the fields by which this source links to each collection of targets."""
    links: dict[str, set[str]] = {}
    for cache in ledger.counters[source]:
        links.setdefault(cache.target, set()).add(cache.link)
    return links


def _add(total: dict[Any, Amounts], target: Any, amounts: Amounts, number: int) -> None:
    fields = total.get(target)
    if fields is None:
        fields = total[target] = {}
    add_amounts(fields, amounts, number)
