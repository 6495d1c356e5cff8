"""Files of any bytes: an import reads them, or rejects them with a reason."""

import gzip
import io
import json
from functools import cache
from typing import Any

import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.imports.fields import RecordKind
from documents.imports.import_file import FileChoices, ImportFile
from documents.imports.records import ImportOptions

HEADER = "email,name,amount,currency,donated_at\n"
TEXT = HEADER + 'a@example.org,"Ann, Ä",12.50,EUR,2026-11-28\n' * 3
FORMATS = ("utf-8", "utf-8-sig", "cp1252", "utf-16", "xlsx", "gzip", "ndjson")


@cache
def content_of(name: str) -> bytes:
    """Return a valid file of this format."""
    if name == "xlsx":
        book, packed = openpyxl.Workbook(), io.BytesIO()
        sheet: Any = book.active
        for line in TEXT.splitlines():
            sheet.append(line.split(","))
        book.save(packed)
        return packed.getvalue()
    if name == "gzip":
        return gzip.compress(TEXT.encode())
    if name == "ndjson":
        return json.dumps({"email": "a@example.org", "name": "Ann"}).encode() * 2
    return TEXT.encode(name)


def read(content: bytes, records: RecordKind = "users", encoding: str = "") -> list[str]:
    """Return the errors of all lines, or the reason for which the file is rejected."""
    choices = FileChoices(encoding, options=ImportOptions(currency="USD"))
    try:
        with ImportFile(records, lambda: io.BytesIO(content), choices) as file:
            for _ in file.survey_rows():
                pass
            lines = list(file.read_lines())
    except Unusable as error:
        return [str(error)]
    assert len(lines) == file.rows
    assert "\ufffd" not in repr(lines) or b"\xef\xbf\xbd" in content
    return [error["detail"] for line in lines for error in line.errors]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["users", "emails", "donations"]))
@example(b"\xff\xfe\x00", "users")
@example(b"\xff\xfe\x00\xd8", "users")
@example(b"\x1f\x8b", "users")
@example(b"PK\x03\x04", "donations")
@example(b"{" * 100_000, "users")
def test_random_bytes_give_lines_or_a_reason(content: bytes, records: RecordKind) -> None:
    read(content, records)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100), st.sampled_from(["utf-16", "utf-32", "cp1252", "mac-roman"]))
def test_random_bytes_in_a_chosen_encoding_give_lines_or_a_reason(
    content: bytes, encoding: str
) -> None:
    read(content, encoding=encoding)
    read(b"email,name\n" + content, encoding=encoding)
    read("email,name\n".encode(encoding) + content, encoding=encoding)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=100), st.sampled_from(["users", "emails", "donations"]))
def test_random_values_give_lines_or_a_reason(text: str, records: RecordKind) -> None:
    cells = text.encode("utf-8", "surrogatepass")
    read(HEADER.encode() + cells, records)
    read(HEADER.encode() + b",,".join([cells] * 3), records)


@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_file_gives_lines_or_a_reason(name: str) -> None:
    content = content_of(name)
    for length in range(0, len(content), max(1, len(content) // 150)):
        read(content[:length], "donations")


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FORMATS), st.integers(0, 10_000), st.binary(min_size=1, max_size=4))
def test_a_damaged_file_gives_lines_or_a_reason(name: str, at: int, damage: bytes) -> None:
    content = content_of(name)
    at %= len(content)
    read(content[:at] + damage + content[at + len(damage) :], "donations")
