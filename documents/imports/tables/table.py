"""A table: columns and rows of a file, whatever its format."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

FileKind = Literal["csv", "xlsx", "ndjson"]
Cell = str | int | float | bool | None | object  # objects are dates and times of a workbook


TOO_MANY_CELLS_ERROR = "The line has more values than columns."


class TableRow(NamedTuple):
    """A row of a table.

    Attributes:
        number: line of a text file, or row of a sheet, from 1.
        cells: values by column, without empty ones; for NDJSON the line's text.
        error: why the row cannot be read; empty if it can.
    """

    number: int
    cells: dict[str, Cell] | str
    error: str = ""


@dataclass
class Table:
    """An opened file.

    Attributes:
        kind: detected format.
        encoding: codec of a text file.
        delimiter: separator of a CSV file.
        columns: names of the columns, as the file writes them; empty for NDJSON.
        rows: the rows, once. Blank rows are omitted.
    """

    kind: FileKind
    encoding: str = ""
    delimiter: str = ""
    columns: list[str] = field(default_factory=list)
    rows: Iterator[TableRow] = field(default_factory=lambda: iter(()))


def close_after(
    source: AbstractContextManager[object], rows: Iterable[TableRow]
) -> Iterator[TableRow]:
    """Yield the rows, and close their source at the end or when the iterator is dropped."""
    with source:
        yield from rows
