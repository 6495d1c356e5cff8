"""Interface of all warehouse engines, with one file for each.

`open_warehouse` selects one by URL.
"""

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
    """The warehouse is unavailable or full, or rejects a command. The message is for people."""


class QueryError(WarehouseError):
    """The warehouse rejects an analyst's query."""


@dataclass(frozen=True)
class QueryResult:
    """The result of a query. Reading fetches the rows, so read them within the context."""

    columns: list[str]
    rows: Iterator[tuple[Any, ...]]


class Warehouse(Protocol):
    """Any engine.

    Each call connects and disconnects, because a warehouse may be unavailable in between.
    """

    def prepare(self) -> None:
        """Create missing tables, columns and views.

        Raises:
            WarehouseError: the warehouse is unavailable or full, or rejects a command.
        """

    def merge(self, batch: WarehouseBatch) -> None:
        """Store rows. For each ID, keep the row with the highest version.

        The batch is atomic if the engine has transactions. The caller may repeat it after a
        failure.

        Raises:
            WarehouseError: the warehouse is unavailable or full, or rejects a row.
        """

    def drop_older(self, table: Table, version: int) -> None:
        """Replace rows with a lower version by tombstones."""

    def query(self, sql: str) -> AbstractContextManager[QueryResult]:
        """Run a read-only query.

        Raises:
            QueryError: the warehouse rejects the query.
            WarehouseError: the warehouse is unavailable.
        """

    def write_parquet(self, table: Table, path: Path) -> int:
        """Write the rows of a table's view to a Parquet file. Return the number of rows."""


def open_warehouse(url: str) -> Warehouse:
    """Return the warehouse at this URL, without connecting to it.

    Raises:
        WarehouseError: the driver is not installed.
    """
    module, name, extra = ENGINE_BY_SCHEME[url.split(":", 1)[0]]
    try:
        made: Warehouse = importlib.import_module(module).open_at(url)
    except ImportError:
        raise WarehouseError(
            f"The driver for {name} is not installed. Run: pip install 'matchback[{extra}]'"
        ) from None
    return made


def describe_warehouse_error(error: Exception, url: str) -> str:
    """Return the first line of an error for a log, without the secrets of the URL."""
    said = str(error).strip() or type(error).__name__
    try:
        secrets = [url, urlsplit(url).password or url]
    except ValueError:
        secrets = [url]
    for secret in secrets:
        said = said.replace(secret, "…").replace(unquote(secret), "…")
    return said.splitlines()[0][:MAX_ERROR_LENGTH]


def encode_json_lines(rows: Sequence[WarehouseRow]) -> bytes:
    """Encode rows as JSON lines, which every engine reads in bulk."""
    option = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NAIVE_UTC
    return b"".join(orjson.dumps(row, default=to_id_text, option=option) for row in rows)
