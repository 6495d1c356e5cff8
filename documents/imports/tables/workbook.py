"""Excel workbooks (.xlsx), read row by row."""

import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import Any, BinaryIO

from documents.errors import Unusable
from documents.imports.tables.encoding import is_damaged
from documents.imports.tables.header import check_columns
from documents.imports.tables.table import TOO_MANY_CELLS_ERROR, Cell, Table, TableRow

MAX_UNPACKED_BYTES = 2 * 1024**3
MAX_PACKING_RATIO = 500
DAMAGED_TEXT_ERROR = "The row has a character that a program could not decode. Correct the cell."
UNREADABLE = "The workbook is damaged, encrypted or not an .xlsx file"


def read_workbook(source: BinaryIO, sheet: str = "") -> Table:
    """Read the first visible sheet, or the named one. Its first row with values is the header.

    Raises:
        Unusable: the file is not a workbook, or has no such sheet.
    """
    _check_size(source)
    # Load the package on first use, because most processes never read a workbook.
    import openpyxl

    try:
        book = openpyxl.load_workbook(source, read_only=True, data_only=True, keep_links=False)
    except Exception as error:  # openpyxl raises many types for damaged files
        raise Unusable(UNREADABLE) from error
    page = _choose_sheet(book, sheet)
    page.reset_dimensions()  # a file can claim any number of columns
    rows = _read_rows(page)
    number, cells = next(rows, (1, ()))
    if not cells:
        raise Unusable("The sheet is empty")
    columns = check_columns([_to_text(cell) for cell in cells], number)
    return Table("xlsx", columns=columns, rows=(_name_cells(columns, *row) for row in rows))


def _check_size(source: BinaryIO) -> None:
    """Reject an archive that would unpack to much more than a workbook has.

    Raises:
        Unusable: the file is not such an archive, or too large.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise Unusable(UNREADABLE) from None
    unpacked = sum(part.file_size for part in parts)
    packed = sum(part.compress_size for part in parts)
    if unpacked > MAX_UNPACKED_BYTES or unpacked > max(packed, 1) * MAX_PACKING_RATIO:
        raise Unusable("The workbook is too large. Save the sheet as CSV")
    source.seek(0)


def _choose_sheet(book: Any, sheet: str) -> Any:
    pages = [page for page in book.worksheets if page.sheet_state == "visible"]
    chosen = [page for page in pages if not sheet or page.title == sheet]
    if not chosen:
        raise Unusable("The workbook has no such sheet" if sheet else "The workbook has no sheet")
    return chosen[0]


def _read_rows(page: Any) -> Iterator[tuple[int, Sequence[Cell]]]:
    """Yield the rows with values, and their numbers.

    Raises:
        Unusable: the sheet is damaged.
    """
    rows = enumerate(page.iter_rows(values_only=True), 1)
    while True:
        try:
            number, cells = next(rows)
        except StopIteration:
            return
        except Exception as error:  # openpyxl raises many types for damaged sheets
            raise Unusable(UNREADABLE) from error
        if any(_has_value(cell) for cell in cells):
            yield number, cells


def _has_value(cell: Cell) -> bool:
    return cell is not None and (not isinstance(cell, str) or bool(cell.strip()))


def _name_cells(columns: Sequence[str], number: int, cells: Sequence[Cell]) -> TableRow:
    if any(map(_has_value, cells[len(columns) :])):
        return TableRow(number, {}, TOO_MANY_CELLS_ERROR)
    if any(isinstance(cell, str) and is_damaged(cell) for cell in cells):
        return TableRow(number, {}, DAMAGED_TEXT_ERROR)
    named = zip(columns, cells, strict=False)
    return TableRow(number, {name: _clean(cell) for name, cell in named if _has_value(cell)})


def _clean(cell: Cell) -> Cell:
    return cell.strip() if isinstance(cell, str) else cell


def _to_text(cell: Cell) -> str:
    if cell is None or isinstance(cell, str):
        return cell or ""
    return cell.isoformat() if isinstance(cell, date | datetime | time) else str(cell)
