"""Export: reads noted changes at a snapshot, merges them, and then deletes the notes.

A crash between two steps repeats them, and a repeated merge changes nothing. If two exporters read
at different times, the later snapshot wins, in any order of arrival. So only the notes must be
exact. The transactions that change the rows write them.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mongoengine import get_db
from pymongo import UpdateMany

from config.settings import get_settings
from documents.storage.export_outbox import (
    EXPORT_DUE_FILTER,
    EXPORT_MARK_FIELD,
    EXPORTED_COLLECTIONS,
    MARKED_COLLECTIONS,
)
from jobs.warehouse.engine import Warehouse
from jobs.warehouse.snapshot import Snapshot
from jobs.warehouse.tables import TABLE_BY_NAME, Table, WarehouseRow

# Each open and click adds a note of its email. Reading many notes together makes fewer rows. Each
# ID takes about 150 bytes of memory.
MAX_EXPORTED_RECORDS = 200_000
EXPORTED_ROWS_PER_BATCH = 20_000
EXPORTED_IDS_PER_QUERY = 5_000
MARK_UPDATES_PER_COMMAND = 1_000


@dataclass
class NotedChanges:
    """Changes that were noted at one snapshot, up to the limit of a batch."""

    notes: list[Any] = field(default_factory=list)  # IDs of the notes
    ids: dict[str, dict[Any, None]] = field(default_factory=lambda: defaultdict(dict))
    marks: dict[str, dict[Any, list[Any]]] = field(default_factory=dict)  # collection → time → IDs

    @property
    def size(self) -> int:
        return sum(map(len, self.ids.values()))


def export_next_changes(warehouse: Warehouse) -> int:
    """Export some changes. Return the number of records; 0 if the warehouse is up to date.

    Raises:
        WarehouseError: the warehouse is unavailable or full, or rejects a row. All changes stay
            noted.
    """
    snapshot = Snapshot(get_db())
    changes = read_noted_changes(snapshot)
    if not changes.size:
        return 0
    for batch in split_changes(changes):
        warehouse.merge({table: read_rows(snapshot, table, ids) for table, ids in batch.items()})
    delete_notes(changes)
    return changes.size


def split_changes(changes: NotedChanges) -> Iterator[dict[Table, list[Any]]]:
    """Split changes into batches of at most `EXPORTED_ROWS_PER_BATCH` records."""
    batch: dict[Table, list[Any]] = {}
    left = EXPORTED_ROWS_PER_BATCH
    for name, noted in changes.ids.items():
        remaining = iter(noted)
        while ids := list(itertools.islice(remaining, left)):
            batch[TABLE_BY_NAME[name]] = ids
            left -= len(ids)
            if not left:
                yield batch
                batch, left = {}, EXPORTED_ROWS_PER_BATCH
    if batch:
        yield batch


def read_noted_changes(snapshot: Snapshot, limit: int = MAX_EXPORTED_RECORDS) -> NotedChanges:
    """Return the oldest notes and marks, with about `limit` records."""
    changes = NotedChanges()
    for name in MARKED_COLLECTIONS:
        times: dict[Any, list[Any]] = defaultdict(list)
        for document in snapshot.find(
            name,
            EXPORT_DUE_FILTER,
            {EXPORT_MARK_FIELD: 1},
            sort={EXPORT_MARK_FIELD: 1},
            limit=limit - changes.size,
        ):
            times[document[EXPORT_MARK_FIELD]].append(document["_id"])
            changes.ids[name][document["_id"]] = None
        changes.marks[name] = times
        if changes.size >= limit:
            return changes
    for note in snapshot.find("unexported", {}, sort={"_id": 1}):
        changes.notes.append(note["_id"])
        for name in EXPORTED_COLLECTIONS:
            changes.ids[name].update(dict.fromkeys(note.get(name, ())))
        if changes.size >= limit:
            break
    return changes


def read_rows(snapshot: Snapshot, table: Table, ids: list[Any]) -> list[WarehouseRow]:
    """Return the rows of these records, with tombstones for records that no longer exist."""
    personal, version = get_settings().warehouse_personal_data, snapshot.version
    found: dict[Any, WarehouseRow] = {}
    for start in range(0, len(ids), EXPORTED_IDS_PER_QUERY):
        query = {"_id": {"$in": ids[start : start + EXPORTED_IDS_PER_QUERY]}}
        for document in snapshot.find(table.name, query, table.fields):
            found[document["_id"]] = table.row(document, version, personal=personal)
    return [found.get(id_) or table.tombstone(id_, version) for id_ in ids]


def delete_notes(changes: NotedChanges) -> None:
    """Delete the exported notes and marks. Keep marks that are newer than the export."""
    if changes.notes:
        get_db().unexported.delete_many({"_id": {"$in": changes.notes}})
    for name, times in changes.marks.items():
        taken: list[Any] = [
            UpdateMany(
                {"_id": {"$in": ids}, EXPORT_MARK_FIELD: at}, {"$unset": {EXPORT_MARK_FIELD: ""}}
            )
            for at, ids in times.items()
        ]
        for start in range(0, len(taken), MARK_UPDATES_PER_COMMAND):
            get_db()[name].bulk_write(
                taken[start : start + MARK_UPDATES_PER_COMMAND], ordered=False
            )
