"""Backfill: fills the warehouse from the beginning, page by page, while traffic continues.

The warehouse itself stores the progress, merged with the rows. So a new warehouse fills without a
command. It fills again after a change of the columns or of the export of names.

At the end, the backfill drops rows that it did not update, because their records no longer exist.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bson import Binary, ObjectId
from mongoengine import get_db

from config.settings import get_settings
from documents.values.time import now
from jobs.warehouse.engine import Warehouse
from jobs.warehouse.snapshot import Snapshot
from jobs.warehouse.tables import BACKFILL_TABLE, WAREHOUSE_TABLES, Table, WarehouseRow, to_id_text

BACKFILL_ROWS_PER_PAGE = 20_000
REFILL_LAYOUT = ""  # layout of a backfill that an operator requested


@dataclass(frozen=True)
class TableProgress:
    """The progress of one table."""

    table: str
    layout: str = REFILL_LAYOUT
    after: str | None = None
    since: int = 0  # version of the first page's snapshot
    copied: int = 0
    total: int = 0
    finished_at: datetime | None = None

    @property
    def version(self) -> int:
        """Version of this progress row.

        It grows with each page, even if no write moves the snapshot.
        """
        return self.since + self.copied + (self.finished_at is not None)

    @property
    def row(self) -> WarehouseRow:
        """Row in the warehouse's own table of backfills."""
        return {
            "id": self.table,
            **{column.name: getattr(self, column.name) for column in BACKFILL_TABLE.columns},
            "version": self.version,
            "deleted": False,
        }


class Backfill:
    """The backfill of all tables, one after the other."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._progress = read_progress(warehouse)

    @property
    def tables(self) -> list[TableProgress]:
        """Progress of each table."""
        return list(self._progress.values())

    @property
    def current(self) -> TableProgress | None:
        """Table that the backfill fills now; None after the last one."""
        return next((one for one in self._progress.values() if one.finished_at is None), None)

    def step(self) -> bool:
        """Copy the next page. Return whether there was one.

        Raises:
            WarehouseError: the warehouse is unavailable or full, or rejects the page. The next call
                repeats the page.
        """
        progress = self.current
        if progress is None:
            return False
        table = next(table for table in WAREHOUSE_TABLES if table.name == progress.table)
        snapshot = Snapshot(get_db())
        if progress.after is None:
            total = get_db()[table.name].estimated_document_count()
            progress = replace(progress, since=snapshot.version, total=total, copied=0)
        after = {"_id": {"$gt": _id(table, progress.after)}} if progress.after else {}
        found = list(
            snapshot.find(
                table.name, after, table.fields, sort={"_id": 1}, limit=BACKFILL_ROWS_PER_PAGE
            )
        )
        personal = get_settings().warehouse_personal_data
        rows = [table.row(document, snapshot.version, personal=personal) for document in found]
        progress = replace(progress, copied=progress.copied + len(rows))
        if len(found) == BACKFILL_ROWS_PER_PAGE:
            progress = replace(progress, after=to_id_text(found[-1]["_id"]))
        else:
            progress = replace(progress, finished_at=now().replace(tzinfo=None))
        self._warehouse.merge({table: rows})
        if progress.finished_at:
            self._warehouse.drop_older(table, progress.since)
        self._warehouse.merge({BACKFILL_TABLE: [progress.row]})
        self._progress[table.name] = progress
        return True


def read_progress(warehouse: Warehouse) -> dict[str, TableProgress]:
    """Return each table's progress. A table whose layout has changed starts at the beginning."""
    stored, layout = _stored(warehouse), compute_layout()
    fresh = {table.name: TableProgress(table.name, layout) for table in WAREHOUSE_TABLES}
    return {
        name: stored[name] if name in stored and stored[name].layout == layout else new
        for name, new in fresh.items()
    }


def start_refill(warehouse: Warehouse) -> None:
    """Fill all tables again. Old rows stay until the backfill updates or drops them."""
    before = [one.version for one in _stored(warehouse).values()]
    version = max(Snapshot(get_db()).version, *(version + 1 for version in before), 0)
    warehouse.merge(
        {BACKFILL_TABLE: [TableProgress(one.name, since=version).row for one in WAREHOUSE_TABLES]}
    )


def _stored(warehouse: Warehouse) -> dict[str, TableProgress]:
    names = ["id", *(column.name for column in BACKFILL_TABLE.columns)]
    with warehouse.query(f"SELECT {', '.join(names)} FROM {BACKFILL_TABLE.name}") as answer:
        return {row[0]: TableProgress(*row) for row in answer.rows}


def compute_layout() -> str:
    """Return a digest of the columns and the setting for names.

    A change requires a new backfill.
    """
    columns = [(table.name, [one.name for one in table.columns]) for table in WAREHOUSE_TABLES]
    said = repr((columns, get_settings().warehouse_personal_data))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _id(table: Table, text: str) -> Any:
    return Binary(bytes.fromhex(text)) if table.name == "events" else ObjectId(text)
