"""CSV: any of four delimiters and three line ends, in any encoding."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from typing import Any, BinaryIO

from documents.errors import Unusable
from documents.imports.tables.encoding import UNDECODED_HANDLER, is_damaged
from documents.imports.tables.header import check_columns
from documents.imports.tables.table import TOO_MANY_CELLS_ERROR, Table, TableRow, close_after

DELIMITERS = ",;\t|"
MAX_LINE_CHARACTERS = 1024 * 1024
_QUOTED = re.compile(r'"(?:[^"]|"")*+"')
UNDECODED_ERROR = (
    "The line has a character that is not valid in this encoding. Choose the file's encoding."
)


def read_csv(source: BinaryIO, encoding: str, delimiter: str = "") -> Table:
    """Read a CSV file whose first line that is not blank is the header.

    Raises:
        Unusable: the header cannot be read.
    """
    text = TextIOWrapper(source, encoding, UNDECODED_HANDLER, newline="")
    lines = _Lines(text)
    delimiter = delimiter or _detect_delimiter(lines.peek())
    rows = _read_rows(csv.reader(lines, delimiter=delimiter, strict=True))
    number, cells, error = next(rows, (1, (), ""))
    if error:
        raise Unusable(f"Line {number}: {error.removesuffix('.')}")
    if not cells:
        raise Unusable("The file is empty")
    columns = check_columns([str(cell) for cell in cells], number)
    named = (_name_cells(columns, *row) for row in rows)
    return Table("csv", encoding, delimiter, columns, close_after(text, named))


def _detect_delimiter(line: str) -> str:
    """Return the delimiter that the header has most often outside of quotes."""
    counts = Counter(_QUOTED.sub("", line))
    return max(DELIMITERS, key=lambda delimiter: counts[delimiter])


class _Lines:
    """The lines of a text, bounded in length. The first line that is not blank can be peeked."""

    def __init__(self, text: TextIOWrapper) -> None:
        self._text = text
        self._peeked: list[str] = []

    def peek(self) -> str:
        while line := self._read():
            self._peeked.append(line)
            if line.strip():
                return line
        return ""

    def __iter__(self) -> Iterator[str]:
        yield from self._peeked
        while line := self._read():
            yield line

    def _read(self) -> str:
        line = self._text.readline(MAX_LINE_CHARACTERS)
        if len(line) == MAX_LINE_CHARACTERS:
            raise Unusable(f"A line has more than {MAX_LINE_CHARACTERS:,} characters")
        return line


# The number of the row's first line, its cells, and why it cannot be read.
_RawRow = tuple[int, Sequence[str], str]


def _read_rows(reader: Any) -> Iterator[_RawRow]:
    """Yield the rows that are not blank. `reader` is a reader of the csv module."""
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield number, (), _explain(error)
            if "unexpected end" in str(error):
                return
            continue
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield number, cells, ""


def _explain(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end" in text:
        return "A quote that begins on this line is not closed."
    if "field larger" in text:
        return "A quote that begins on this line is not closed, or a value is too long."
    return f"The line is not valid CSV: {text}."


def _name_cells(columns: Sequence[str], number: int, cells: Sequence[str], error: str) -> TableRow:
    if error:
        return TableRow(number, {}, error)
    if any(cell.strip() for cell in cells[len(columns) :]):
        return TableRow(number, {}, TOO_MANY_CELLS_ERROR)
    if any(map(is_damaged, cells)):
        return TableRow(number, {}, UNDECODED_ERROR)
    named = zip(columns, cells, strict=False)
    return TableRow(number, {name: cell.strip() for name, cell in named if cell.strip()})
