"""The preview of a file that `matchback import --dry-run` prints."""

import json
from typing import TYPE_CHECKING, Any

import click

from service.commands.tables import print_table

if TYPE_CHECKING:
    from documents.imports.import_file import FileLine, ImportFile

MAX_ROWS_SHOWN = 5
MAX_ROW_CHARACTERS = 300
KIND_LABELS = {"csv": "CSV", "xlsx": "Excel workbook", "ndjson": "JSON lines"}
DELIMITER_LABELS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


class FilePreview:
    """How a file is read: its format, its columns, and its first rows."""

    def __init__(self, source: "ImportFile") -> None:
        self._source = source
        self._rows: list[dict[str, Any]] = []

    def add(self, line: "FileLine") -> None:
        """Keep the line if it is one of the first."""
        if len(self._rows) < MAX_ROWS_SHOWN:
            self._rows.append({"line": line.number, "body": line.body})

    def to_values(self) -> dict[str, Any]:
        """Return the preview for JSON."""
        table = self._source.table
        return {
            "format": table.kind,
            "encoding": table.encoding,
            "delimiter": table.delimiter,
            "columns": self._source.mapping,
            "rows": self._rows,
        }

    def print(self) -> None:
        """Print the preview for people."""
        click.echo(f"format: {self._describe_format()}")
        if mapping := self._source.mapping:
            rows = [{"column": name, "field": of or "ignored"} for name, of in mapping.items()]
            print_table(["column", "field"], rows)
        for row in self._rows:
            text = json.dumps(row["body"], ensure_ascii=False)[:MAX_ROW_CHARACTERS]
            click.echo(f"line {row['line']}: {text}")

    def _describe_format(self) -> str:
        from documents.imports.tables.encoding import ENCODING_NAMES

        table = self._source.table
        parts = [KIND_LABELS[table.kind]]
        if table.encoding:
            parts.append(ENCODING_NAMES.get(table.encoding, table.encoding))
        if table.delimiter:
            name = DELIMITER_LABELS.get(table.delimiter, table.delimiter)
            parts.append(f"separated by {name}")
        return ", ".join(parts)
