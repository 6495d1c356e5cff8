"""The interface of all warehouse engines, one file each. `open_warehouse` selects one by URL."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import orjson

from jobs.warehouse.tables import BACKFILL_TABLE, WAREHOUSE_TABLES, Table, WarehouseRow, to_id_text

ENGINE_BY_SCHEME = {
    "duckdb": ("jobs.warehouse.duckdb", "DuckDB", "embedded"),
    "postgresql": ("jobs.warehouse.postgresql", "PostgreSQL", "postgresql"),
    "clickhouse": ("jobs.warehouse.clickhouse", "ClickHouse", "clickhouse"),
    "clickhouses": ("jobs.warehouse.clickhouse", "ClickHouse", "clickhouse"),
}
MAX_ERROR_LENGTH = 500
STORED_TABLES = (*WAREHOUSE_TABLES, BACKFILL_TABLE)
WarehouseBatch = Mapping[Table, Sequence[WarehouseRow]]


class WarehouseError(Exception):
    """The warehouse is away, full, or refuses. The message is a sentence for a person."""


class QueryError(WarehouseError):
    """A query of somebody's that the warehouse does not accept."""


@dataclass(frozen=True)
class QueryResult:
    """What a query answered. Rows are read as they are asked for, within the context."""

    columns: list[str]
    rows: Iterator[tuple[Any, ...]]


class Warehouse(Protocol):
    """Any engine. Each call connects and lets go: a warehouse may come and go between two."""

    def prepare(self) -> None:
        """Make the tables, columns and views that are missing.

        Raises:
            WarehouseError: it is away, full, or refuses.
        """

    def merge(self, batch: WarehouseBatch) -> None:
        """Store rows, all or none where the engine can: of each id, the highest version stays.

        Raises:
            WarehouseError: as above; what was merged already may be merged again.
        """

    def drop_older(self, table: Table, version: int) -> None:
        """Take away the rows whose version is lower than this: tombstones are left of them."""

    def query(self, sql: str) -> AbstractContextManager[QueryResult]:
        """Ask it, without being able to change it.

        Raises:
            QueryError: it does not accept the query.
            WarehouseError: it is away.
        """

    def write_parquet(self, table: Table, path: Path) -> int:
        """Write what a table's view shows into a Parquet file. Returns the number of rows."""


def open_warehouse(url: str) -> Warehouse:
    """The warehouse at this URL. Nothing is connected yet.

    Raises:
        WarehouseError: its driver is not installed.
    """
    module, name, extra = ENGINE_BY_SCHEME[url.split(":", 1)[0]]
    try:
        made: Warehouse = importlib.import_module(module).open_at(url)
    except ImportError:
        raise WarehouseError(
            f"{name}'s driver is not installed: pip install 'matchback[{extra}]'."
        ) from None
    return made


def describe_warehouse_error(error: Exception, url: str) -> str:
    """What went wrong, for a log: the first line of it, without what the URL keeps secret."""
    said = str(error).strip() or type(error).__name__
    try:
        secrets = [url, urlsplit(url).password or url]
    except ValueError:
        secrets = [url]
    for secret in secrets:
        said = said.replace(secret, "…").replace(unquote(secret), "…")
    return said.splitlines()[0][:MAX_ERROR_LENGTH]


def encode_json_lines(rows: Sequence[WarehouseRow]) -> bytes:
    """Rows as JSON, one a line: the one form that every engine reads in bulk by itself."""
    option = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NAIVE_UTC
    return b"".join(orjson.dumps(row, default=to_id_text, option=option) for row in rows)
