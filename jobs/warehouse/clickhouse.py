"""ClickHouse 24 or newer as the warehouse.

ReplacingMergeTree keeps the row with the highest version for each ID, and drops others in the
background. Views read with FINAL, which drops them at once. ClickHouse has no transactions. After a
failure in a batch, the exporter stores the whole batch again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from jobs.warehouse.engine import (
    STORED_TABLES,
    QueryError,
    QueryResult,
    Warehouse,
    WarehouseBatch,
    WarehouseError,
    describe_warehouse_error,
    encode_json_lines,
)
from jobs.warehouse.parquet import write_parquet_file
from jobs.warehouse.tables import DELETED_COLUMN, ID_COLUMN, VERSION_COLUMN, Table

CLICKHOUSE_TYPES = {
    "text": "Nullable(String)",
    "integer": "Nullable(Int64)",
    "boolean": "Nullable(Bool)",
    "time": "Nullable(DateTime64(3, 'UTC'))",
}
OWN_COLUMN_TYPES = {ID_COLUMN: "String", VERSION_COLUMN: "UInt64", DELETED_COLUMN: "UInt8"}
CLICKHOUSE_CONNECT_SECONDS, CLICKHOUSE_READ_SECONDS = 5, 60
# Allow reads and settings only. Outer joins return NULL for missing rows, as in other databases.
QUERY_SETTINGS = {"readonly": 2, "join_use_nulls": 1}
INSERT_SETTINGS = {"date_time_input_format": "best_effort"}


class ClickHouse:
    """A ClickHouse database."""

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url
        self._options = options

    def prepare(self) -> None:
        with self._connected() as client:
            for table in STORED_TABLES:
                _make(client, table)

    def merge(self, batch: WarehouseBatch) -> None:
        with self._connected() as client:
            for table, rows in batch.items():
                if rows:
                    client.raw_insert(
                        f"{table.name}_rows",
                        insert_block=encode_json_lines(rows),
                        fmt="JSONEachRow",
                        settings=INSERT_SETTINGS,
                    )

    def drop_older(self, table: Table, version: int) -> None:
        empty = ", ".join(f"NULL AS {column.name}" for column in table.columns)
        with self._connected() as client:
            client.command(
                f"INSERT INTO {table.name}_rows SELECT {ID_COLUMN}, {empty}, "
                f"{version} AS {VERSION_COLUMN}, 1 AS {DELETED_COLUMN} FROM (SELECT {ID_COLUMN} "
                f"FROM {table.name}_rows FINAL WHERE {VERSION_COLUMN} < {version} "
                f"AND NOT {DELETED_COLUMN})"
            )

    @contextmanager
    def query(self, sql: str) -> Iterator[QueryResult]:
        with self._connected() as client:
            try:
                found = client.query(sql, settings=QUERY_SETTINGS)
            except DatabaseError as error:
                raise QueryError(str(error)) from None
            yield QueryResult(list(found.column_names), iter(found.result_rows))

    def write_parquet(self, table: Table, path: Path) -> int:
        with self.query(f"SELECT * FROM {table.name} ORDER BY {ID_COLUMN}") as answer:
            return write_parquet_file(table, answer.rows, path)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            client = clickhouse_connect.get_client(dsn=self._url, **self._options)
            try:
                yield client
            finally:
                client.close()
        except (ClickHouseError, OSError, ValueError) as error:
            raise WarehouseError(
                f"ClickHouse: {describe_warehouse_error(error, self._url)}"
            ) from None


def open_at(url: str) -> Warehouse:
    """Return the database at a URL such as clickhouse://user:password@host:8123/database."""
    return ClickHouse(
        url,
        connect_timeout=CLICKHOUSE_CONNECT_SECONDS,
        send_receive_timeout=CLICKHOUSE_READ_SECONDS,
    )


def _make(client: Any, table: Table) -> None:
    columns = [
        f"{column.name} {OWN_COLUMN_TYPES.get(column.name, CLICKHOUSE_TYPES[column.type])}"
        for column in table.all_columns
    ]
    client.command(
        f"CREATE TABLE IF NOT EXISTS {table.name}_rows ({', '.join(columns)}) "
        f"ENGINE = ReplacingMergeTree({VERSION_COLUMN}) ORDER BY {ID_COLUMN}"
    )
    added = ", ".join(f"ADD COLUMN IF NOT EXISTS {column}" for column in columns)
    client.command(f"ALTER TABLE {table.name}_rows {added}")
    shown = ", ".join((ID_COLUMN, *(column.name for column in table.columns)))
    client.command(
        f"CREATE OR REPLACE VIEW {table.name} AS SELECT {shown} FROM {table.name}_rows "
        f"FINAL WHERE NOT {DELETED_COLUMN}"
    )
