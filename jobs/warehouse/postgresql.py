"""PostgreSQL 14 or newer as the warehouse, with tables and views in their own schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, sql

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

POSTGRESQL_TYPES = {"text": "text", "integer": "bigint", "boolean": "boolean", "time": "timestamp"}
WAREHOUSE_SCHEMA = "matchback"
POSTGRESQL_CONNECT_SECONDS = 5
STATEMENT_TIMEOUT_MILLISECONDS = 60_000
CONNECTION_OPTIONS = f"-c search_path={WAREHOUSE_SCHEMA} -c timezone=UTC"
QUERY_ERROR_CLASSES = (
    psycopg.ProgrammingError,
    psycopg.DataError,
    psycopg.NotSupportedError,
    psycopg.errors.ReadOnlySqlTransaction,
)
# Detect a host that vanishes during a command. Source: PostgreSQL's manual, libpq.
KEEPALIVE_OPTIONS: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


class PostgreSQL:
    """A PostgreSQL database."""

    def __init__(self, url: str) -> None:
        self._url = url

    def prepare(self) -> None:
        with self._connected() as connection:
            # Without a lock, two workers that start at once would create the same objects, and one
            # would fail.
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('matchback warehouse'))")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {WAREHOUSE_SCHEMA}")
            for table in STORED_TABLES:
                _make(connection, table)

    def merge(self, batch: WarehouseBatch) -> None:
        with self._connected() as connection:
            connection.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MILLISECONDS}")
            for table, rows in batch.items():
                if rows:
                    array = b"[" + encode_json_lines(rows).rstrip().replace(b"\n", b",") + b"]"
                    # PostgreSQL's text type cannot hold a zero character.
                    connection.execute(_merge(table), [array.replace(b"\\u0000", b"").decode()])

    def drop_older(self, table: Table, version: int) -> None:
        empty = ", ".join(f'"{column.name}" = NULL' for column in table.columns)
        with self._connected() as connection:
            connection.execute(
                _plain(
                    f"UPDATE {_stored(table)} SET {empty}, {DELETED_COLUMN} = true, "
                    f"{VERSION_COLUMN} = {version} "
                    f"WHERE {VERSION_COLUMN} < {version} AND NOT {DELETED_COLUMN}"
                )
            )

    @contextmanager
    def query(self, sql: str) -> Iterator[QueryResult]:
        with (
            self._connected(read_only=True) as connection,
            connection.cursor(name="answer") as cursor,
        ):
            try:
                cursor.execute(_plain(sql))
                columns = [column.name for column in cursor.description or ()]
            except QUERY_ERROR_CLASSES as error:
                raise QueryError(str(error)) from None
            yield QueryResult(columns, iter(cursor))

    def write_parquet(self, table: Table, path: Path) -> int:
        with self.query(f"SELECT * FROM {table.name} ORDER BY {ID_COLUMN}") as answer:
            return write_parquet_file(table, answer.rows, path)

    @contextmanager
    def _connected(self, *, read_only: bool = False) -> Iterator[Connection]:
        try:
            with psycopg.connect(
                self._url,
                connect_timeout=POSTGRESQL_CONNECT_SECONDS,
                options=CONNECTION_OPTIONS,
                application_name="matchback",
                **KEEPALIVE_OPTIONS,
            ) as connection:
                connection.read_only = read_only
                yield connection
        except psycopg.Error as error:
            raise WarehouseError(
                f"PostgreSQL: {describe_warehouse_error(error, self._url)}"
            ) from None


def open_at(url: str) -> Warehouse:
    """Return the database at a libpq URL such as postgresql://user:password@host/database."""
    return PostgreSQL(url)


def _plain(text: str) -> sql.SQL:
    return sql.SQL(text)  # consists of our own names, or is an analyst's query


def _stored(table: Table) -> str:
    return f"{WAREHOUSE_SCHEMA}.{table.name}_rows"


def _make(connection: Connection, table: Table) -> None:
    stored = _stored(table)
    columns = [f'"{column.name}" {POSTGRESQL_TYPES[column.type]}' for column in table.all_columns]
    connection.execute(
        _plain(
            f"CREATE TABLE IF NOT EXISTS {stored} ({', '.join(columns)}, PRIMARY KEY ({ID_COLUMN}))"
        )
    )
    added = ", ".join(f"ADD COLUMN IF NOT EXISTS {column}" for column in columns)
    connection.execute(_plain(f"ALTER TABLE {stored} {added}"))
    shown = ", ".join(f'"{name}"' for name in (ID_COLUMN, *(one.name for one in table.columns)))
    connection.execute(
        _plain(
            f"CREATE OR REPLACE VIEW {WAREHOUSE_SCHEMA}.{table.name} AS SELECT {shown} "
            f"FROM {stored} WHERE NOT {DELETED_COLUMN}"
        )
    )


def _merge(table: Table) -> sql.SQL:
    names = [f'"{column.name}"' for column in table.all_columns]
    types = ", ".join(
        f'"{column.name}" {POSTGRESQL_TYPES[column.type]}' for column in table.all_columns
    )
    sets = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    return _plain(
        f"INSERT INTO {_stored(table)} AS old ({', '.join(names)}) "
        f"SELECT {', '.join(names)} FROM jsonb_to_recordset(%s::jsonb) AS new({types}) "
        f"ON CONFLICT ({ID_COLUMN}) DO UPDATE SET {sets} "
        f"WHERE excluded.{VERSION_COLUMN} > old.{VERSION_COLUMN}"
    )
