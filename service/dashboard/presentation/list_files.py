"""Files of lists, in pieces: CSV, and Excel workbooks."""

from collections.abc import Callable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from service.api.csv_cells import Cell, format_rows
from service.dashboard.presentation.lists import ListCell, ListTable, MoneyCell
from service.dashboard.presentation.wording import format_amount

BYTE_ORDER_MARK = "\ufeff"  # Excel reads a CSV file as UTF-8 only if it begins with this mark
CSV_MEDIA_TYPE = "text/csv; charset=utf-8"
XLSX_MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def format_csv_list(table: ListTable, zone: ZoneInfo) -> Iterator[bytes]:
    """Yield a CSV file. Times have the offset of the zone."""
    begin = BYTE_ORDER_MARK + format_rows([table.header])
    for page in table.pages:
        rows = ([_to_csv_cell(cell, zone) for cell in row] for row in page)
        yield (begin + format_rows(rows)).encode()
        begin = ""


def _to_csv_cell(cell: ListCell, zone: ZoneInfo) -> Cell:
    if isinstance(cell, MoneyCell):
        return format_amount(cell.amount, cell.currency)
    if isinstance(cell, datetime):
        return cell.astimezone(zone).isoformat(timespec="seconds")
    return cell


def _format_workbook(table: ListTable, zone: ZoneInfo) -> Iterator[bytes]:
    # openpyxl takes 40 ms to load, and only this function needs it.
    from service.dashboard.presentation.workbook import format_workbook

    return format_workbook(table, zone)


ListWriter = Callable[[ListTable, ZoneInfo], Iterator[bytes]]
# By the extension of the file: the media type, and the function that makes the file.
LIST_FORMATS: dict[str, tuple[str, ListWriter]] = {
    "csv": (CSV_MEDIA_TYPE, format_csv_list),
    "xlsx": (XLSX_MEDIA_TYPE, _format_workbook),
}
