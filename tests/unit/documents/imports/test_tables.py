"""Alice's staff bring files from Excel, Mailchimp and old programs. Each is read as it is."""

import gzip
import io
import tracemalloc
import zipfile
from datetime import datetime

import openpyxl
import pytest

from documents.errors import Unusable
from documents.imports.tables.encoding import check_encoding, detect_encoding
from documents.imports.tables.open_table import open_table
from documents.imports.tables.table import Table

PEOPLE = [("zoe@example.org", "Zoë Müller"), ("jose@example.org", "José Ñandú")]


def write_csv(delimiter: str = ",", end: str = "\r\n") -> str:
    rows = [("email", "name"), *PEOPLE]
    return "".join(delimiter.join(row) + end for row in rows)


def read(content: bytes, **options: str) -> Table:
    return open_table(io.BytesIO(content), **options)


def list_cells(table: Table) -> list[tuple[object, ...]]:
    rows = list(table.rows)
    assert [row.error for row in rows] == [""] * len(rows)
    return [tuple(row.cells.values()) for row in rows if isinstance(row.cells, dict)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_file_is_read_whatever_its_encoding_delimiter_and_line_ends(
    delimiter: str, end: str, codec: str
) -> None:
    table = read(write_csv(delimiter, end).encode(codec))
    assert (table.kind, table.delimiter, table.columns) == ("csv", delimiter, ["email", "name"])
    assert list_cells(table) == PEOPLE


@pytest.mark.parametrize("codec", ["cp1252", "latin-1"])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_windows_file_is_read(codec: str, end: str) -> None:
    table = read(write_csv(";", end).encode(codec))
    assert table.encoding == "cp1252"
    assert list_cells(table) == PEOPLE


def test_an_old_macs_file_needs_a_choice() -> None:
    content = write_csv(",", "\r").encode("mac-roman")
    with pytest.raises(Unusable, match="encoding is not clear"):
        read(content)
    assert list_cells(read(content, encoding="mac-roman")) == PEOPLE
    with pytest.raises(Unusable, match="Choose an encoding of"):
        check_encoding("rot13")


def test_a_damaged_character_is_an_error_of_its_line_only() -> None:
    table = read(write_csv().encode() + b"eve@example.org,E\xffve\r\nbob@example.org,Bob\r\n")
    *_, damaged, bob = table.rows
    assert table.encoding == "utf-8"
    assert (damaged.number, bob.cells) == (4, {"email": "bob@example.org", "name": "Bob"})
    assert "character" in damaged.error
    (unknown,) = read(b"email,name\nann@example.org,\x81\xe9\xe8\n").rows  # not in Windows-1252
    assert "character" in unknown.error


def test_detection_goes_back_to_the_start() -> None:
    source = io.BytesIO(b"email\n" * 300_000)
    assert detect_encoding(source) == "utf-8"
    assert source.tell() == 0


def test_quotes_newlines_and_blank_rows() -> None:
    content = (
        b'\n \nEmail,"Full, Name",\n"a@example.org","Ann\nAmes",\n,,\n\n'
        b'b@example.org,"Ben ""B"" Baker",,\n'
    )
    table = read(content)
    assert table.columns == ["Email", "Full, Name"]
    ann, ben = table.rows
    assert ann == (4, {"Email": "a@example.org", "Full, Name": "Ann\nAmes"}, "")
    assert ben == (8, {"Email": "b@example.org", "Full, Name": 'Ben "B" Baker'}, "")


def test_a_bad_row_stops_no_other() -> None:
    content = (
        b'email,name\na@b.org,Ann,more\nb@b.org,"Ben"x\nc@b.org,Cy\nd@b.org,"open\ne@b.org,E\n'
    )
    rows = list(read(content).rows)
    assert [(row.number, bool(row.error)) for row in rows] == [
        (2, True),
        (3, True),
        (4, False),
        (5, True),
    ]
    assert "not closed" in rows[-1].error


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b'email,"name\nann@example.org,Ann\n', "Line 1: A quote"),
        (b"email,name,E-Mail,\n", "“E-Mail” looks like|twice|occurs"),
        (b"Email, EMAIL \n", "“EMAIL” occurs twice"),
        (b"a," * 600 + b"b\n", "more than 500 columns|occurs twice"),
        (b"\x00\x01\x02\x03" * 100, "not text"),
        (b"\xd0\xcf\x11\xe0 an old workbook", "old or an encrypted"),
        (b"PK\x03\x04 not an archive", "damaged"),
        (b"\x1f\x8b not gzip", "gzip file is damaged"),
        (gzip.compress(b"email\n" * 100, mtime=0)[:-9], "gzip file is damaged"),
        (b"a" * (1024 * 1024 + 5), "characters"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(content: bytes, reason: str) -> None:
    if reason.startswith("“E-Mail” looks"):
        assert read(content).columns == ["email", "name", "E-Mail"]
        return
    with pytest.raises(Unusable, match=reason):
        list(read(content).rows)


def test_json_lines_are_found_by_their_content() -> None:
    lines = '\ufeff{"name": "Zoë"}\r\n\n{"name": "Ann"}'
    for codec in ("utf-8", "utf-16"):
        table = read(lines.encode(codec))
        assert (table.kind, table.columns) == ("ndjson", [])
        assert [(row.number, row.cells) for row in table.rows] == [
            (1, '{"name": "Zoë"}'),
            (3, '{"name": "Ann"}'),
        ]
    long, bad, good = read(b'{"a": "' + b"x" * 70_000 + b'"}\n{"a": "\xff"}\n{"a": 1}\n').rows
    assert ("longer" in long.error, "character" in bad.error, good.cells) == (
        True,
        True,
        '{"a": 1}',
    )


def test_a_gzip_file_is_unpacked() -> None:
    assert list_cells(read(gzip.compress(write_csv().encode()))) == PEOPLE


def write_workbook(rows: list[list[object]], hidden: bool = False) -> bytes:
    book = openpyxl.Workbook()
    if hidden:
        book.active.sheet_state = "hidden"  # type: ignore[union-attr]
        page = book.create_sheet("Gifts")
    else:
        page = book.active
    for row in rows:
        page.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def test_a_workbook_is_read_under_any_name() -> None:
    at = datetime(2026, 11, 28)  # noqa: DTZ001
    content = write_workbook(
        [[], ["Email", "Gift Amount", "Gift Date"], ["ann@example.org", 25.5, at], [None, None]],
        hidden=True,
    )
    table = read(content)
    assert (table.kind, table.columns) == ("xlsx", ["Email", "Gift Amount", "Gift Date"])
    (ann,) = table.rows
    assert ann == (3, {"Email": "ann@example.org", "Gift Amount": 25.5, "Gift Date": at}, "")
    assert list_cells(read(content, sheet="Gifts"))
    with pytest.raises(Unusable, match="no such sheet"):
        read(content, sheet="Other")
    with pytest.raises(Unusable, match="sheet is empty"):
        read(write_workbook([[]]))


def repack(content: bytes, **parts: bytes) -> bytes:
    """Return a workbook with other parts; the names have underscores for slashes."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, parts.get(name.replace("/", "_").replace(".", "_"), old.read(name)))
    return packed.getvalue()


def test_a_hostile_workbook_costs_little() -> None:
    plain = write_workbook([["email"], ["ann@example.org"]])
    bomb = repack(plain, xl_worksheets_sheet1_xml=b"<a>" + b" " * 200_000_000)
    with pytest.raises(Unusable, match="too large"):
        read(bomb)
    entities = (
        b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]>'
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        b'<row r="1"><c r="A1" t="inlineStr"><is><t>&c;</t></is></c></row></sheetData></worksheet>'
    )
    with pytest.raises(Unusable, match="damaged"):
        list(read(repack(plain, xl_worksheets_sheet1_xml=entities)).rows)
    truncated = repack(plain, xl_worksheets_sheet1_xml=b"<worksheet><sheetData><row><c")
    with pytest.raises(Unusable, match=r"damaged|empty"):
        list(read(truncated).rows)


class Endless(io.RawIOBase):
    """A CSV file of many rows that exists only while it is read."""

    def __init__(self, rows: int) -> None:
        self._content = b"email,name\n" + b"ann@example.org,Ann Ames\n" * 40
        self._size = len(self._content) * rows // 40
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = min(len(buffer), self._size - self._at, len(self._content))
        start = self._at % len(self._content)
        size = min(size, len(self._content) - start)
        buffer[:size] = self._content[start : start + size]
        self._at += size
        return size


def measure(rows: int) -> int:
    tracemalloc.start()
    table = open_table(io.BufferedReader(Endless(rows)))
    count = sum(1 for _ in table.rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count > rows // 2
    return peak


def test_memory_does_not_grow_with_the_file() -> None:
    assert measure(40_000) < 1.5 * measure(4_000) + 4 * 1024 * 1024


def test_a_character_that_another_program_lost_is_an_error() -> None:
    lost = "Zo\ufffd"
    (row,) = read(f"email,name\nzoe@example.org,{lost}\n".encode()).rows
    assert "character" in row.error
    (line,) = read(f'{{"name": "{lost}"}}\n'.encode()).rows
    assert "character" in line.error
    (cells,) = read(write_workbook([["email", "name"], ["zoe@example.org", lost]])).rows
    assert "character" in cells.error
