"""Excel workbooks of lists. openpyxl writes rows to temporary files, so memory is bounded."""

import re
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from documents.values.money import count_decimals, to_major_units
from service.dashboard.presentation.lists import ListCell, ListRow, ListTable, MoneyCell

PIECE_BYTES = 128 * 1024
ROWS_A_STEP = 50  # other downloads can use the thread after each step
MAX_SHEET_ROWS = 1_000_000  # Excel's limit is 1,048,576
MAX_CELL_LENGTH = 32_767  # Excel's limit
MAX_TITLE_LENGTH = 25  # Excel's limit is 31; further sheets add a number
COLUMN_WIDTH = 18  # characters
EARLIEST_EXCEL_YEAR = 1901  # Excel counts days from 1900, with a wrong leap day in that year
BAD_TITLE_PATTERN = re.compile(r"[\\/*?:\[\]']")
# XML 1.0 has no place for these characters.
BAD_TEXT_PATTERN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def format_workbook(table: ListTable, zone: ZoneInfo) -> Iterator[bytes]:
    """Yield a workbook. Yield empty pieces while openpyxl writes the rows.

    Times are in the zone. Excel has no zones.
    """
    writing = _Writing(table, zone)
    try:
        for page in table.pages:
            rows = list(page)
            for start in range(0, len(rows), ROWS_A_STEP):
                writing.append(rows[start : start + ROWS_A_STEP])
                yield b""
        with tempfile.TemporaryFile() as file:
            writing.book.save(file)
            file.seek(0)
            while piece := file.read(PIECE_BYTES):
                yield piece
    finally:
        writing.delete_temporary_files()


class _Writing:
    """A workbook that grows, with another sheet after each million rows."""

    def __init__(self, table: ListTable, zone: ZoneInfo) -> None:
        self.book = Workbook(write_only=True)
        self._table = table
        self._zone = zone
        self._begin_sheet()

    def append(self, rows: list[ListRow]) -> None:
        for row in rows:
            if self._count == MAX_SHEET_ROWS:
                self._begin_sheet()
            self._sheet.append([self._to_cell(cell) for cell in row])
            self._count += 1

    def delete_temporary_files(self) -> None:
        """Delete the files of an unfinished workbook, which openpyxl keeps until the process ends.

        Saving deletes them, too.
        """
        for sheet in self.book.worksheets:
            writer: Any = getattr(sheet, "_writer", None)
            if not getattr(sheet, "closed", True):
                sheet.close()
            if writer is not None and Path(writer.out).exists():
                writer.cleanup()

    def _begin_sheet(self) -> None:
        number = len(self.book.worksheets) + 1
        title = BAD_TITLE_PATTERN.sub(" ", self._table.title)[:MAX_TITLE_LENGTH].strip()
        self._sheet: Any = self.book.create_sheet(title if number == 1 else f"{title} {number}")
        self._count = 1
        self._sheet.freeze_panes = "A2"
        for column in range(1, len(self._table.header) + 1):
            self._sheet.column_dimensions[get_column_letter(column)].width = COLUMN_WIDTH
        header = [self._text_cell(name) for name in self._table.header]
        for cell in header:
            cell.font = Font(bold=True)
        self._sheet.append(header)

    def _to_cell(self, cell: ListCell) -> Any:
        if isinstance(cell, MoneyCell):
            return self._money_cell(cell)
        if isinstance(cell, datetime):
            local = cell.astimezone(self._zone).replace(tzinfo=None, microsecond=0)
            return local if local.year >= EARLIEST_EXCEL_YEAR else self._text_cell(str(local))
        return self._text_cell(cell) if isinstance(cell, str) else cell

    def _text_cell(self, text: str) -> Any:
        """Return a text cell. openpyxl takes plain text like `=1` or `#N/A` for something else."""
        made: Any = WriteOnlyCell(self._sheet, BAD_TEXT_PATTERN.sub("", text)[:MAX_CELL_LENGTH])
        made.data_type = "s"
        return made

    def _money_cell(self, money: MoneyCell) -> Any:
        value = to_major_units(money.amount, money.currency)
        if value is None:  # the currency has no known unit
            return money.amount
        made: Any = WriteOnlyCell(self._sheet, value)
        decimals = count_decimals(money.currency) or 0
        made.number_format = "#,##0" + (f".{'0' * decimals}" if decimals else "")
        return made
