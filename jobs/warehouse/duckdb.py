"""A DuckDB file as the embedded warehouse.

A process that writes locks the file for all others. So the exporter opens it for each batch and
closes it again, and readers, which open it read-only, wait their turn. Merging joins on the ID. The
tables have no primary key, whose index would make the file four times as large and fill the memory
(see docs/reference/warehouse.md). One process exports at a time, and a batch is one transaction.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb

from jobs.warehouse.engine import (
    STORED,
    Answer,
    Batch,
    QueryError,
    Warehouse,
    WarehouseError,
    lines,
)
from jobs.warehouse.tables import DELETED, ID, VERSION, Table

TYPES = {"text": "VARCHAR", "integer": "BIGINT", "boolean": "BOOLEAN", "time": "TIMESTAMP"}
PATIENCE_SECONDS = 20.0
PAUSE_SECONDS = 0.05
FETCHED = 1000
# A worker must stay small; sorting and joining spill into files beside the database.
LIMITS: dict[str, Any] = {"threads": 2, "memory_limit": "512MB"}


# An analyst's query reads the warehouse, and no file or host of the machine that it runs on.
SHUT = ("SET enable_external_access = false", "SET lock_configuration = true")


class DuckDB:
    """A file of DuckDB's."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as connection:
            for table in STORED:
                _make(connection, table)

    def merge(self, batch: Batch) -> None:
        with self._open() as connection, tempfile.TemporaryDirectory() as folder:
            connection.begin()
            for number, (table, rows) in enumerate(batch.items()):
                if rows:
                    file = Path(folder) / f"{number}.json"
                    file.write_bytes(lines(rows))
                    connection.execute(_merge(table), {"file": str(file)})
            connection.commit()

    def drop_older(self, table: Table, version: int) -> None:
        empty = ", ".join(f'"{column.name}" = NULL' for column in table.columns)
        with self._open() as connection:
            connection.execute(
                f"UPDATE {_stored(table)} SET {empty}, {DELETED} = true, {VERSION} = $version "
                f"WHERE {VERSION} < $version AND NOT {DELETED}",
                {"version": version},
            )

    @contextmanager
    def query(self, sql: str) -> Iterator[Answer]:
        with self._open(read_only=True) as connection:
            for setting in SHUT:
                connection.execute(setting)
            try:
                found = connection.execute(sql)
            except duckdb.Error as error:
                raise QueryError(str(error)) from None
            if found is None:
                raise QueryError("Nothing was asked.")
            columns = [column[0] for column in found.description or ()]
            yield Answer(columns, _rows(found))

    def write_parquet(self, table: Table, path: Path) -> int:
        with self._open(read_only=True) as connection:
            target = str(path).replace("'", "''")
            found = connection.execute(
                f"COPY (SELECT * FROM {table.name} ORDER BY {ID}) TO '{target}' (FORMAT parquet)"
            ).fetchone()
            return int(found[0]) if found else 0

    @contextmanager
    def _open(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        if read_only and not self._path.exists():
            raise WarehouseError(f"There is no warehouse at {self._path} yet.")
        connection = _patiently(
            lambda: duckdb.connect(str(self._path), read_only=read_only, config=dict(LIMITS))
        )
        try:
            yield connection
        except (duckdb.Error, OSError) as error:  # a full disk is either, by who writes
            raise WarehouseError(f"DuckDB: {error}") from error
        finally:
            with suppress(duckdb.Error):
                connection.close()


def open_at(url: str) -> Warehouse:
    """The file that the URL names: duckdb:///var/warehouse.duckdb, or with four slashes from /."""
    return DuckDB(Path(unquote(url.removeprefix("duckdb:///"))))


def _patiently(connect: Callable[[], duckdb.DuckDBPyConnection]) -> duckdb.DuckDBPyConnection:
    """Wait while another process has it: an export takes less than a second."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return connect()
        except duckdb.Error as error:
            if "lock" not in str(error).lower() or time.monotonic() > deadline:
                raise WarehouseError(f"DuckDB: {error}") from error
            time.sleep(PAUSE_SECONDS)


def _stored(table: Table) -> str:
    return f"{table.name}_rows"


def _make(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    stored = _stored(table)
    columns = [f'"{column.name}" {TYPES[column.type]}' for column in table.all_columns]
    connection.execute(f"CREATE TABLE IF NOT EXISTS {stored} ({', '.join(columns)})")
    for column in columns:
        connection.execute(f"ALTER TABLE {stored} ADD COLUMN IF NOT EXISTS {column}")
    shown = ", ".join(f'"{name}"' for name in (ID, *(one.name for one in table.columns)))
    connection.execute(
        f"CREATE OR REPLACE VIEW {table.name} AS SELECT {shown} FROM {stored} WHERE NOT {DELETED}"
    )


def _merge(table: Table) -> str:
    names = [column.name for column in table.all_columns]
    types = ", ".join(f"'{column.name}': '{TYPES[column.type]}'" for column in table.all_columns)
    sets = ", ".join(f'"{name}" = new."{name}"' for name in names if name != ID)
    return (
        f"MERGE INTO {_stored(table)} AS old USING ("
        f"SELECT * FROM read_json($file, format = 'newline_delimited', columns = {{{types}}})"
        f") AS new ON old.{ID} = new.{ID} "
        f"WHEN MATCHED AND new.{VERSION} > old.{VERSION} THEN UPDATE SET {sets} "
        "WHEN NOT MATCHED THEN INSERT BY NAME"
    )


def _rows(found: duckdb.DuckDBPyConnection) -> Iterator[tuple[object, ...]]:
    while rows := found.fetchmany(FETCHED):
        yield from rows
