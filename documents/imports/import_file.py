"""A file of records to import: what it is taken for, and the body of each of its lines."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, BinaryIO, NamedTuple, Self

from documents.errors import Unusable
from documents.imports.fields import RecordKind
from documents.imports.records import Body, ImportOptions, RecordReader, RowError, Survey
from documents.imports.tables.open_table import open_table
from documents.imports.tables.table import Table, TableRow
from documents.values.strict_json import parse_json

ROWS_PER_STEP = 1000

LineErrors = list[dict[str, str]]


@dataclass(frozen=True)
class FileChoices:
    """Choices of a person for a file. An empty value leaves the choice to the file.

    Attributes:
        options: the choices for the values of its rows.
    """

    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    options: ImportOptions = field(default_factory=ImportOptions)


class UnclearColumns(Unusable):
    """The file is readable, but a person must choose what its columns are.

    Attributes:
        table: the opened file, which may be closed by now.
    """

    def __init__(self, reason: str, table: Table) -> None:
        super().__init__(reason)
        self.table = table


class FileLine(NamedTuple):
    """A line of a file, as the body of a POST of its records.

    Attributes:
        number: line of a text file, or row of a sheet, from 1.
        errors: why the line has no body.
    """

    number: int
    body: Body
    errors: LineErrors


class ImportFile:
    """A file of records.

    Args:
        open_source: opens the file again, because the file is read several times.

    Attributes:
        mapping: the field of each column; None for a column that is ignored.
        rows: number of rows that are not blank, known after the survey.

    Raises:
        Unusable: the file cannot be read.
        UnclearColumns: a person must choose columns.
    """

    def __init__(
        self,
        records: RecordKind,
        open_source: Callable[[], BinaryIO],
        choices: FileChoices | None = None,
    ) -> None:
        self._open_source = open_source
        self._opened: list[BinaryIO] = []
        self._choices = choices or FileChoices()
        self._reader: RecordReader | None = None
        self.rows = 0
        with ExitStack() as on_error:
            on_error.callback(self.close)
            self.table = self._open()
            if self.table.kind != "ndjson":
                self._reader = self._choose_reader(records)
            on_error.pop_all()

    def _choose_reader(self, records: RecordKind) -> RecordReader:
        columns = self.table.columns
        try:
            return RecordReader(records, columns, self._choices.options)
        except Unusable as error:
            raise UnclearColumns(str(error), self.table) from None

    def close(self) -> None:
        """Close the file."""
        for source in self._opened:
            source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def mapping(self) -> dict[str, str | None]:
        return self._reader.mapping if self._reader else {}

    @property
    def survey(self) -> Survey:
        """Evidence from all rows together."""
        return self._reader.survey if self._reader else Survey(self.rows)

    def survey_rows(self) -> Iterator[int]:
        """Read all rows for what they prove together. Yield their number so far, step by step.

        Raises:
            Unusable: the file is damaged.
        """
        table, reading = self.table, True
        while reading:
            before = self.rows
            step = replace(table, rows=self._count(islice(table.rows, ROWS_PER_STEP)))
            if self._reader:
                self._reader.survey_rows(step)
            else:
                for _ in step.rows:
                    pass
            reading = self.rows > before
            yield self.rows

    def read_lines(self) -> Iterator[FileLine]:
        """Yield all lines.

        Raises:
            Unusable: the file is damaged.
        """
        for row in self._open().rows:
            yield self._read_line(row)

    def _count(self, rows: Iterator[TableRow]) -> Iterator[TableRow]:
        for row in rows:
            self.rows += 1
            yield row

    def _open(self) -> Table:
        chosen = self._choices
        self._opened.append(self._open_source())
        return open_table(
            self._opened[-1],
            encoding=chosen.encoding,
            delimiter=chosen.delimiter,
            sheet=chosen.sheet,
        )

    def _read_line(self, row: TableRow) -> FileLine:
        if row.error:
            return FileLine(row.number, {}, _list_error("", "malformed", row.error))
        try:
            body = self._read_body(row)
        except RowError as error:
            found = _list_error(f"/{error.field}", "invalid", f"{error.detail}.")
            return FileLine(row.number, {}, found)
        except Unusable as error:
            return FileLine(row.number, {}, _list_error("", "malformed", str(error)))
        return FileLine(row.number, body, [])

    def _read_body(self, row: TableRow) -> Body:
        if self._reader and isinstance(row.cells, dict):
            return self._reader.read_body(row.cells)
        value: Any = parse_json(str(row.cells).encode())
        if not isinstance(value, dict):
            raise Unusable("The line is not a JSON object.")
        return {**self._choices.options.defaults, **value}


def _list_error(pointer: str, code: str, detail: str) -> LineErrors:
    return [{"pointer": pointer, "code": code, "detail": detail}]
