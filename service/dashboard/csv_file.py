"""Tables as CSV, for sheets. Pure.

A cell that begins like a formula would be run by a sheet that opens it (OWASP, «CSV Injection»):
text is given an apostrophe then. Numbers are numbers, negative ones too.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence

import falcon

Cell = str | int | float | None
FORMULA = re.compile(r"\s*[=+\-@\t\r|%\uff1d\uff0b\uff0d\uff20]")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def safe(cell: Cell) -> Cell:
    """A cell that no sheet runs."""
    if cell is None:
        return ""
    if isinstance(cell, str) and FORMULA.match(cell) and not NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """As RFC 4180 has it, in UTF-8 with the mark by which sheets know that."""
    text = io.StringIO()
    # Quoted, for a sheet may take another sign than the comma for the end of a cell.
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([safe(cell) for cell in header])
    writer.writerows([safe(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def answer_csv(
    resp: falcon.Response, name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]
) -> None:
    """Answer with a table to be kept as a file."""
    resp.content_type = "text/csv; charset=utf-8"
    resp.downloadable_as = f"{name}.csv"
    resp.data = to_csv(header, rows)
