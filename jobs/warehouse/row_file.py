"""A temporary file of rows for DuckDB. It has no name, so a killed process leaves nothing."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from jobs.warehouse.engine import encode_json_lines
from jobs.warehouse.tables import WarehouseRow


class RowFile:
    """Rows as JSON lines."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def clear(self) -> None:
        self._file.seek(0)
        self._file.truncate()

    def write(self, rows: Sequence[WarehouseRow]) -> None:
        self._file.write(encode_json_lines(rows))

    def name_for_reading(self) -> str:
        """Return the path of the descriptor, by which DuckDB reads all rows."""
        self._file.flush()
        self._file.seek(0)
        return f"/dev/fd/{self._file.fileno()}"


@contextmanager
def open_row_file(folder: Path) -> Iterator[RowFile]:
    """Open an empty file on the disk of the folder."""
    with tempfile.TemporaryFile(dir=folder) as file:
        yield RowFile(cast("BinaryIO", file))
