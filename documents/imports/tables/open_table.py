"""Opening a file: its format by its content, whatever its name."""

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from io import TextIOWrapper
from typing import BinaryIO, cast

from documents.errors import Unusable
from documents.imports.tables.csv_table import UNDECODED_ERROR, read_csv
from documents.imports.tables.encoding import (
    UNDECODED_HANDLER,
    check_encoding,
    complete_encoding,
    detect_encoding,
    is_damaged,
)
from documents.imports.tables.table import Table, TableRow, close_after
from documents.imports.tables.workbook import read_workbook

GZIP_MAGIC, ZIP_MAGIC, OLE_MAGIC = b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
MAX_UNPACKED_BYTES = 8 * 1024**3
MAX_LINE_CHARACTERS = 64 * 1024
MEMORY_BYTES = 1024 * 1024
COPY_BYTES = 64 * 1024


def open_table(
    source: BinaryIO, *, encoding: str = "", delimiter: str = "", sheet: str = ""
) -> Table:
    """Open a file that can seek. The content decides the format, and the name does not.

    The table owns the file, and closes it when its rows are no longer used.

    Args:
        encoding: codec that a person chose; by default, the file proves it.
        delimiter: separator that a person chose; by default, the header shows it.
        sheet: name of a workbook's sheet; by default, the first visible one.

    Raises:
        Unusable: the file cannot be read. The message is for people and has no final period.
    """
    source = _unpack(source)
    start = source.read(8)
    source.seek(0)
    if start.startswith(ZIP_MAGIC):
        return read_workbook(source, sheet)
    if start.startswith(OLE_MAGIC):
        raise Unusable("The file is an old or an encrypted Excel file. Save it as .xlsx or CSV")
    codec = check_encoding(encoding) if encoding else detect_encoding(source)
    codec = complete_encoding(source, codec)
    if _begins_object(source, codec):
        # JSON is in Unicode, so a byte that is not UTF-8 is damage.
        codec = "utf-8" if codec == "cp1252" and not encoding else codec
        return Table("ndjson", codec, rows=_read_json_lines(source, codec))
    return read_csv(source, codec, delimiter)


def _unpack(source: BinaryIO) -> BinaryIO:
    """Return the content of a gzip file in a temporary file, or the file itself.

    Raises:
        Unusable: the archive is damaged or too large.
    """
    start = source.read(2)
    source.seek(0)
    if start != GZIP_MAGIC:
        return source
    with ExitStack() as on_error:
        temporary = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115
        on_error.callback(temporary.close)
        unpacked = cast("BinaryIO", temporary)
        try:
            _copy(gzip.GzipFile(fileobj=source), unpacked)
        except (OSError, EOFError, zlib.error):
            raise Unusable("The gzip file is damaged") from None
        on_error.pop_all()
    unpacked.seek(0)
    return unpacked


def _copy(packed: gzip.GzipFile, unpacked: BinaryIO) -> None:
    while chunk := packed.read(COPY_BYTES):
        unpacked.write(chunk)
        if unpacked.tell() > MAX_UNPACKED_BYTES:
            raise Unusable("The gzip file is too large")


def _begins_object(source: BinaryIO, codec: str) -> bool:
    """Return whether the first character that is not white space begins a JSON object."""
    text = source.read(4096).decode(codec, "ignore").lstrip("\ufeff \t\r\n")
    source.seek(0)
    return text.startswith("{")


def _read_json_lines(source: BinaryIO, codec: str) -> Iterator[TableRow]:
    text = TextIOWrapper(source, codec, UNDECODED_HANDLER)
    return close_after(text, _iterate_lines(text))


def _iterate_lines(text: TextIOWrapper) -> Iterator[TableRow]:
    number = 0
    while line := text.readline(MAX_LINE_CHARACTERS):
        number += 1
        if not line.endswith("\n") and len(line) == MAX_LINE_CHARACTERS:
            _skip_line(text)
            yield TableRow(
                number, "", f"The line is longer than {MAX_LINE_CHARACTERS:,} characters."
            )
        elif line.strip("\ufeff \t\r\n"):
            yield _check_line(number, line)


def _skip_line(text: TextIOWrapper) -> None:
    while (rest := text.readline(MAX_LINE_CHARACTERS)) and not rest.endswith("\n"):
        pass


def _check_line(number: int, line: str) -> TableRow:
    if is_damaged(line):
        return TableRow(number, "", UNDECODED_ERROR)
    return TableRow(number, line.strip("\ufeff \t\r\n"))
