"""Link indexes: collections that find the sources of a target in place of indexes on the sources.

In a transaction, MongoDB's time for an update of an indexed field grows with the square of the
collection's indexes. Inserts, deletes and updates of other fields do not have this cost. So an
application can keep the links of its sources without an index, and find sources by a small
collection with few indexes. Settling writes it in the same transaction as the counters.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .contribution import StoredDocument, list_linked
from .index_table import call, replace_rows
from .transaction import Tx

if TYPE_CHECKING:
    from .caches import Ledger

LINKED_ROWS_PER_QUERY = 5_000
LINK_DIGEST_BYTES = 8


def shorten_link(id_: Any) -> Any:
    """Return a target's ID as `links` stores it: 8 bytes as a number in place of a text.

    Two texts can have the same digest, because readers also check the source.
    """
    if not isinstance(id_, str):
        return id_
    digest = hashlib.blake2b(id_.encode(), digest_size=LINK_DIGEST_BYTES).digest()
    return int.from_bytes(digest, "big", signed=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class LinkIndex:
    """A collection with a row for each linked source: the source's `_id`, and its `links`.

    The collection needs an index on `links`. A text among the links is stored as a digest; see
    `shorten_link`. Readers also check the source's own fields, so a superfluous row has no effect.

    Attributes:
        collection: name of the collection.
        fields: link fields of the source that `links` contains.
        build: returns the other fields of a source's row, or None if the source needs no row.
        is_complete: whether each source has its row. Until then, the engine searches the sources by
            their own fields.
    """

    collection: str
    fields: tuple[str, ...]
    build: Callable[[Any], Mapping[str, Any] | None] = lambda row: {}
    is_complete: Callable[[], bool] = lambda: True

    @cached_property
    def _fields(self) -> frozenset[str]:
        return frozenset(self.fields)

    def covers(self, links: Iterable[str]) -> bool:
        """Return whether `links` contains all these link fields."""
        return self._fields.issuperset(links)

    def row(self, source: StoredDocument) -> StoredDocument | None:
        """Return the row of a source, or None if it needs none."""
        if (other := self.build(source)) is None:
            return None
        ids = [id_ for field in self.fields for id_ in list_linked(source.get(field))]
        links = [shorten_link(id_) for id_ in ids]
        return {"_id": source["_id"], **other, "links": links}

    def write(
        self, tx: Tx, sources: Sequence[StoredDocument], *, send: Callable[..., None] = call
    ) -> None:
        """Replace the rows of these sources; see `replace_rows`."""
        rows = [row for source in sources if (row := self.row(source)) is not None]
        replace_rows(tx, self.collection, [source["_id"] for source in sources], rows, send)

    def find_different(
        self, tx: Tx, sources: Collection[StoredDocument]
    ) -> Iterator[tuple[Any, StoredDocument | None, StoredDocument | None]]:
        """Yield each source whose row is missing or different: its ID, the row, the right row."""
        ids = [source["_id"] for source in sources]
        found = tx.database[self.collection].find(
            {"_id": {"$in": ids}}, session=tx.session, batch_size=len(ids) + 1
        )
        rows = {row["_id"]: row for row in found}
        for source in sources:
            row, right = rows.get(source["_id"]), self.row(source)
            if row != right:
                yield source["_id"], row, right


def find_sources(
    tx: Tx, ledger: "Ledger", source: str, links: Sequence[str], ids: Collection[Any]
) -> Iterator[dict[str, Any]]:
    """Yield queries that together find all sources that link to one of these IDs.

    No source matches two of the queries. A query may find more sources than those.
    """
    wanted = list(ids)
    index = ledger.link_indexes.get(source)
    if index is None or not index.covers(links) or not index.is_complete():
        conditions = [{link: {"$in": wanted}} for link in links]
        yield conditions[0] if len(conditions) == 1 else {"$or": conditions}
        return
    found = tx.database[index.collection].find(
        {"links": {"$in": [shorten_link(id_) for id_ in wanted]}},
        {"_id": 1},
        session=tx.session,
        batch_size=LINKED_ROWS_PER_QUERY,
    )
    part: list[Any] = []
    for row in found:
        part.append(row["_id"])
        if len(part) == LINKED_ROWS_PER_QUERY:
            yield {"_id": {"$in": part}}
            part = []
    if part:
        yield {"_id": {"$in": part}}
