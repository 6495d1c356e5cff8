"""ClickHouse 24 or newer as the warehouse.

Its ReplacingMergeTree keeps the row with the highest version for each ID, at a time of its own
choice. Views read with FINAL, which does the same at once. ClickHouse has no transactions: a batch
that was half stored is stored again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from jobs.warehouse.engine import (
    STORED,
    Answer,
    Batch,
    QueryError,
    Warehouse,
    WarehouseError,
    describe,
    lines,
)
from jobs.warehouse.parquet import write
from jobs.warehouse.tables import DELETED, ID, VERSION, Table

TYPES = {
    "text": "Nullable(String)",
    "integer": "Nullable(Int64)",
    "boolean": "Nullable(Bool)",
    "time": "Nullable(DateTime64(3, 'UTC'))",
}
OWN_TYPES = {ID: "String", VERSION: "UInt64", DELETED: "UInt8"}
CONNECT_SECONDS, READ_SECONDS = 5, 60
# Reads, and settings; and what an outer join does not find is NULL, as in every other database.
ASKED = {"readonly": 2, "join_use_nulls": 1}
AS_WRITTEN = {"date_time_input_format": "best_effort"}


class ClickHouse:
    """A database of ClickHouse's."""

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url
        self._options = options

    def prepare(self) -> None:
        with self._connected() as client:
            for table in STORED:
                _make(client, table)

    def merge(self, batch: Batch) -> None:
        with self._connected() as client:
            for table, rows in batch.items():
                if rows:
                    client.raw_insert(
                        f"{table.name}_rows",
                        insert_block=lines(rows),
                        fmt="JSONEachRow",
                        settings=AS_WRITTEN,
                    )

    def drop_older(self, table: Table, version: int) -> None:
        empty = ", ".join(f"NULL AS {column.name}" for column in table.columns)
        with self._connected() as client:
            client.command(
                f"INSERT INTO {table.name}_rows SELECT {ID}, {empty}, "
                f"{version} AS {VERSION}, 1 AS {DELETED} FROM (SELECT {ID} "
                f"FROM {table.name}_rows FINAL WHERE {VERSION} < {version} AND NOT {DELETED})"
            )

    @contextmanager
    def query(self, sql: str) -> Iterator[Answer]:
        with self._connected() as client:
            try:
                found = client.query(sql, settings=ASKED)
            except DatabaseError as error:
                raise QueryError(str(error)) from None
            yield Answer(list(found.column_names), iter(found.result_rows))

    def write_parquet(self, table: Table, path: Path) -> int:
        with self.query(f"SELECT * FROM {table.name} ORDER BY {ID}") as answer:
            return write(table, answer.rows, path)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            client = clickhouse_connect.get_client(dsn=self._url, **self._options)
            try:
                yield client
            finally:
                client.close()
        except (ClickHouseError, OSError, ValueError) as error:
            raise WarehouseError(f"ClickHouse: {describe(error, self._url)}") from None


def open_at(url: str) -> Warehouse:
    """The database at a URL such as clickhouse://user:password@host:8123/database."""
    return ClickHouse(url, connect_timeout=CONNECT_SECONDS, send_receive_timeout=READ_SECONDS)


def _make(client: Any, table: Table) -> None:
    columns = [
        f"{column.name} {OWN_TYPES.get(column.name, TYPES[column.type])}"
        for column in table.all_columns
    ]
    client.command(
        f"CREATE TABLE IF NOT EXISTS {table.name}_rows ({', '.join(columns)}) "
        f"ENGINE = ReplacingMergeTree({VERSION}) ORDER BY {ID}"
    )
    for column in columns:
        client.command(f"ALTER TABLE {table.name}_rows ADD COLUMN IF NOT EXISTS {column}")
    shown = ", ".join((ID, *(column.name for column in table.columns)))
    client.command(
        f"CREATE OR REPLACE VIEW {table.name} AS SELECT {shown} FROM {table.name}_rows "
        f"FINAL WHERE NOT {DELETED}"
    )
