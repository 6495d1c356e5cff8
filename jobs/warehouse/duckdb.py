"""A DuckDB file as the embedded warehouse.

A writing process locks the file for all others. So the exporter opens and closes the file for each
batch. Readers open it read-only, and wait for the lock.

A merge joins on the ID. The tables have no primary key, because its index would make the file four
times as large and fill the memory. See docs/reference/warehouse.md.

One process exports at a time, and a batch is one transaction.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb

from jobs.warehouse.engine import (
    STORED_TABLES,
    QueryError,
    QueryResult,
    Warehouse,
    WarehouseBatch,
    WarehouseError,
)
from jobs.warehouse.row_file import open_row_file
from jobs.warehouse.tables import DELETED_COLUMN, ID_COLUMN, VERSION_COLUMN, Table

DUCKDB_TYPES = {"text": "VARCHAR", "integer": "BIGINT", "boolean": "BOOLEAN", "time": "TIMESTAMP"}
LOCK_PATIENCE_SECONDS = 20.0
LOCK_POLL_SECONDS = 0.05
ROWS_PER_FETCH = 1000
# Workers must use little memory. DuckDB writes large sorts and joins to files beside the database.
RESOURCE_LIMITS: dict[str, Any] = {"threads": 2, "memory_limit": "512MB"}


# An analyst's query must not read other files or connect to other hosts.
SANDBOX_STATEMENTS = ("SET enable_external_access = false", "SET lock_configuration = true")


class DuckDB:
    """A DuckDB file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as connection:
            for table in STORED_TABLES:
                _make(connection, table)

    def merge(self, batch: WarehouseBatch) -> None:
        with self._open() as connection, open_row_file(self._path.parent) as file:
            connection.begin()
            for table, rows in batch.items():
                if rows:
                    file.clear()
                    file.write(rows)
                    connection.execute(_merge(table), {"file": file.name_for_reading()})
            connection.commit()

    def drop_older(self, table: Table, version: int) -> None:
        empty = ", ".join(f'"{column.name}" = NULL' for column in table.columns)
        with self._open() as connection:
            connection.execute(
                f"UPDATE {_stored(table)} SET {empty}, {DELETED_COLUMN} = true, "
                f"{VERSION_COLUMN} = $version "
                f"WHERE {VERSION_COLUMN} < $version AND NOT {DELETED_COLUMN}",
                {"version": version},
            )

    @contextmanager
    def query(self, sql: str) -> Iterator[QueryResult]:
        with self._open(read_only=True) as connection:
            for setting in SANDBOX_STATEMENTS:
                connection.execute(setting)
            try:
                found = connection.execute(sql)
            except duckdb.Error as error:
                raise QueryError(str(error)) from None
            if found is None:
                raise QueryError("The query is empty. Enter an SQL statement.")
            columns = [column[0] for column in found.description or ()]
            yield QueryResult(columns, _rows(found))

    def write_parquet(self, table: Table, path: Path) -> int:
        with self._open(read_only=True) as connection:
            target = str(path).replace("'", "''")
            found = connection.execute(
                f"COPY (SELECT * FROM {table.name} ORDER BY {ID_COLUMN}) "
                f"TO '{target}' (FORMAT parquet)"
            ).fetchone()
            return int(found[0]) if found else 0

    @contextmanager
    def _open(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        if read_only and not self._path.exists():
            raise WarehouseError(f"No warehouse at {self._path}. Start the warehouse worker.")
        connection = _patiently(
            lambda: duckdb.connect(
                str(self._path), read_only=read_only, config=dict(RESOURCE_LIMITS)
            )
        )
        try:
            yield connection
        # depending on the writer, a full disk raises either
        except (duckdb.Error, OSError) as error:
            raise WarehouseError(f"DuckDB: {error}") from error
        finally:
            with suppress(duckdb.Error):
                connection.close()


def open_at(url: str) -> Warehouse:
    """Return the file at a URL: duckdb:///relative.duckdb or duckdb:////absolute.duckdb."""
    return DuckDB(Path(unquote(url.removeprefix("duckdb:///"))))


def _patiently(connect: Callable[[], duckdb.DuckDBPyConnection]) -> duckdb.DuckDBPyConnection:
    """Connect.

    Wait while another process has the lock, because an export takes less than a second.
    """
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            return connect()
        except duckdb.Error as error:
            if "lock" not in str(error).lower() or time.monotonic() > deadline:
                raise WarehouseError(f"DuckDB: {error}") from error
            time.sleep(LOCK_POLL_SECONDS)


def _stored(table: Table) -> str:
    return f"{table.name}_rows"


def _make(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    stored = _stored(table)
    columns = [f'"{column.name}" {DUCKDB_TYPES[column.type]}' for column in table.all_columns]
    connection.execute(f"CREATE TABLE IF NOT EXISTS {stored} ({', '.join(columns)})")
    for column in columns:
        connection.execute(f"ALTER TABLE {stored} ADD COLUMN IF NOT EXISTS {column}")
    shown = ", ".join(f'"{name}"' for name in (ID_COLUMN, *(one.name for one in table.columns)))
    connection.execute(
        f"CREATE OR REPLACE VIEW {table.name} AS "
        f"SELECT {shown} FROM {stored} WHERE NOT {DELETED_COLUMN}"
    )


def _merge(table: Table) -> str:
    names = [column.name for column in table.all_columns]
    types = ", ".join(
        f"'{column.name}': '{DUCKDB_TYPES[column.type]}'" for column in table.all_columns
    )
    sets = ", ".join(f'"{name}" = new."{name}"' for name in names if name != ID_COLUMN)
    return (
        f"MERGE INTO {_stored(table)} AS old USING ("
        f"SELECT * FROM read_json($file, format = 'newline_delimited', columns = {{{types}}})"
        f") AS new ON old.{ID_COLUMN} = new.{ID_COLUMN} "
        f"WHEN MATCHED AND new.{VERSION_COLUMN} > old.{VERSION_COLUMN} THEN UPDATE SET {sets} "
        "WHEN NOT MATCHED THEN INSERT BY NAME"
    )


def _rows(found: duckdb.DuckDBPyConnection) -> Iterator[tuple[object, ...]]:
    while rows := found.fetchmany(ROWS_PER_FETCH):
        yield from rows
