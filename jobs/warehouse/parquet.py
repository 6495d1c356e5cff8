"""Parquet files for engines that cannot write them. DuckDB writes them in memory."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb

from jobs.warehouse.duckdb import DUCKDB_TYPES
from jobs.warehouse.row_file import open_row_file
from jobs.warehouse.tables import ID_COLUMN, Column, Table

PARQUET_ROWS_PER_PART = 20_000


def write_parquet_file(table: Table, rows: Iterator[tuple[Any, ...]], path: Path) -> int:
    """Write rows with the columns of the table's view. Return their number."""
    columns = (Column(ID_COLUMN), *table.columns)
    names = [column.name for column in columns]
    types = ", ".join(f"'{column.name}': '{DUCKDB_TYPES[column.type]}'" for column in columns)
    written = 0
    with open_row_file(path.parent) as file:
        for part in _parts(rows):
            file.write([dict(zip(names, row, strict=True)) for row in part])
            written += len(part)
        target = str(path).replace("'", "''")
        with duckdb.connect() as connection:
            connection.execute(
                "COPY (SELECT * FROM read_json($file, format = 'newline_delimited', "
                f"columns = {{{types}}})) TO '{target}' (FORMAT parquet)",
                {"file": file.name_for_reading()},
            )
    return written


def _parts(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    remaining = iter(rows)
    while part := list(itertools.islice(remaining, PARQUET_ROWS_PER_PART)):
        yield part
