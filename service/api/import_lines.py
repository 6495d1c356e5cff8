"""The JSON lines of an import in a request."""

from codecs import BOM_UTF8
from collections.abc import Iterable
from typing import Any

import falcon

from documents.imports.kinds import ImportKind, import_line, reject_line
from documents.imports.record_import import RecordImport
from service.api.parsing import MAX_LINE_BYTES, parse_json

REPLACEMENT_CHARACTER = "\ufffd".encode()  # stands for a character that a program could not decode
UNDECODED_DETAIL = "The line has a character that a program could not decode. Correct the line."


def import_lines(
    kind: ImportKind, importing: RecordImport[Any], lines: Iterable[tuple[int, bytes | None]]
) -> None:
    """Import JSON lines. Each line has the fields of a POST of the records."""
    for number, line in lines:
        if line is None:
            detail = f"Line too long. Send at most {MAX_LINE_BYTES} bytes per line."
            reject_line(importing, number, "too_long", detail)
            continue
        if REPLACEMENT_CHARACTER in line:
            reject_line(importing, number, "undecoded", UNDECODED_DETAIL)
            continue
        try:
            value = parse_json(line.removeprefix(BOM_UTF8) if number == 1 else line)
        except falcon.HTTPBadRequest as error:
            detail = error.description or "Invalid JSON. Send valid JSON in UTF-8."
            reject_line(importing, number, "malformed", detail)
        else:
            import_line(kind, importing, number, value)
    importing.flush()
