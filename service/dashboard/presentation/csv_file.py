"""CSV tables to download from pages."""

from collections.abc import Iterable, Sequence

import falcon

from service.api.csv_cells import Cell, format_rows


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Return a CSV file in UTF-8 with a byte order mark, which Excel needs."""
    return format_rows([header, *rows]).encode("utf-8-sig")


def answer_csv(
    resp: falcon.Response, name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]
) -> None:
    """Answer with a table to download."""
    resp.content_type = "text/csv; charset=utf-8"
    resp.downloadable_as = f"{name}.csv"
    resp.data = to_csv(header, rows)
