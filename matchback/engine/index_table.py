"""Index tables: small collections that repeat a few fields of records, so that queries find them.

In a transaction, a change of an indexed field costs time that grows with the square of the
collection's indexes. So a large collection has no index of the fields that settling changes. Its
index table has these indexes instead, and the same transaction writes both.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pymongo.database import Database

from .contribution import StoredDocument
from .transaction import Tx

INCLUDE_EVERY_ROW: Callable[[Any], bool] = lambda row: True  # noqa: E731
ALWAYS: Callable[[Any], bool] = lambda database: True  # noqa: E731


def call(write: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Write at once, in the caller's thread."""
    write(*args, **kwargs)


def replace_rows(
    tx: Tx, name: str, ids: list[Any], rows: list[StoredDocument], send: Callable[..., None] = call
) -> None:
    """Delete the rows with these IDs, and insert the given ones.

    In a transaction, this takes MongoDB less time than an update of indexed fields. An upsert that
    inserts takes over ten times as long.

    Args:
        send: sends each write, given its function and arguments; by default, call it now.
    """
    collection = tx.database[name]
    send(collection.delete_many, {"_id": {"$in": ids}}, session=tx.session)
    if rows:
        send(collection.insert_many, rows, ordered=False, session=tx.session)


@dataclass(frozen=True, kw_only=True, eq=False)
class IndexTable:
    """A collection `on` with a row for each record `of`, which has the same ID.

    Attributes:
        fields: top-level fields that the row repeats. Only the engine may change them.
        fixed: further fields that the row repeats, which never change.
        when: whether a record has a row, by its `fields`. A deleted record has none.
        pending: fields of a record that something else will settle soon. While one is set, a
            recount accepts that the row is missing, or that the row of a deleted record remains.
        is_filled: whether older records have their rows. Until then, a recount ignores the table.
    """

    of: type
    on: type
    fields: tuple[str, ...]
    fixed: tuple[str, ...] = ()
    when: Callable[[Any], bool] = INCLUDE_EVERY_ROW
    pending: tuple[str, ...] = ("due", "trouble")
    is_filled: Callable[[Database[Any]], bool] = ALWAYS

    @cached_property
    def source(self) -> str:
        """Collection of the records."""
        name: str = self.of._get_collection_name()  # type: ignore[attr-defined]
        return name

    @cached_property
    def name(self) -> str:
        """Collection of the rows."""
        name: str = self.on._get_collection_name()  # type: ignore[attr-defined]
        return name

    @cached_property
    def copied(self) -> tuple[str, ...]:
        """All fields that a row repeats, in the order in which it stores them."""
        return *self.fixed, *self.fields

    @cached_property
    def _changing(self) -> frozenset[str]:
        return frozenset(self.fields)

    @cached_property
    def _read(self) -> dict[str, int]:
        return dict.fromkeys((*self.copied, *self.pending, "deleted_at"), 1)

    def is_changed_by(self, operators: Mapping[str, Mapping[str, Any]]) -> bool:
        """Return whether an update changes a repeated field."""
        return not all(map(self._changing.isdisjoint, operators.values()))

    def build_row(self, record: Mapping[str, Any] | None) -> StoredDocument | None:
        """Return the row of a record, or None if it has none."""
        if record is None or record.get("deleted_at") is not None or not self.when(record):
            return None
        return {name: record[name] for name in ("_id", *self.copied) if name in record}

    def read_records(self, tx: Tx, ids: Collection[Any]) -> dict[Any, StoredDocument]:
        """Read what the rows repeat, by ID."""
        found = tx.database[self.source].find(
            {"_id": {"$in": list(ids)}}, self._read, session=tx.session, batch_size=len(ids) + 1
        )
        return {record["_id"]: record for record in found}

    def read_rows(self, tx: Tx, ids: Collection[Any]) -> dict[Any, StoredDocument]:
        """Read the stored rows, by ID."""
        found = tx.database[self.name].find(
            {"_id": {"$in": list(ids)}}, session=tx.session, batch_size=len(ids) + 1
        )
        return {row["_id"]: row for row in found}

    def copy(self, tx: Tx, ids: Collection[Any], send: Callable[..., None] = call) -> None:
        """Make the rows equal to the records.

        The same transaction must have written the records before. Otherwise, it could copy a value
        that another transaction replaces meanwhile; see `copy_again`.
        """
        records = self.read_records(tx, ids)
        rows = [row for row in map(self.build_row, records.values()) if row is not None]
        replace_rows(tx, self.name, list(ids), rows, send)

    def is_pending(self, record: Mapping[str, Any]) -> bool:
        """Return whether something else will correct the record's row soon."""
        return any(record.get(name) is not None for name in self.pending)


def find_wrong_rows(
    tx: Tx, table: IndexTable, records: Mapping[Any, StoredDocument]
) -> Iterator[tuple[Any, StoredDocument, StoredDocument]]:
    """Yield the ID, the actual row and the expected row of each record with an incorrect row.

    A missing row is empty.
    """
    rows = table.read_rows(tx, records)
    for id_, record in records.items():
        actual, expected = rows.get(id_), table.build_row(record)
        if actual == expected or ((not actual or not expected) and table.is_pending(record)):
            continue
        yield id_, actual or {}, expected or {}


def copy_again(tx: Tx, table: IndexTable, ids: Iterable[Any]) -> int:
    """Correct the rows of records. Return how many were incorrect.

    Safe beside settling: this writes the records, too. So a transaction that changes one meanwhile
    conflicts with this one, even if it finds no row to change.
    """
    wanted = list(ids)
    records, rows = table.read_records(tx, wanted), table.read_rows(tx, wanted)
    wrong = [id_ for id_ in wanted if rows.get(id_) != table.build_row(records.get(id_))]
    if not wrong:
        return 0
    held = {"_id": {"$in": wrong}}
    for operator in ("$set", "$unset"):
        tx.database[table.source].update_many(
            held, {operator: {"index_table_held": True}}, session=tx.session
        )
    table.copy(tx, wrong)
    return len(wrong)
