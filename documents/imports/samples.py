"""The first rows of a file, as the check of an import shows them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from documents.imports.import_file import FileLine

MAX_VALUE_LENGTH = 200
MAX_VALUES = 20


def describe_line(line: FileLine, refused: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a line's values as they would be stored, and its errors.

    Args:
        refused: the rejected lines of the batch.
    """
    errors = [error for one in refused if one["line"] == line.number for error in one["errors"]]
    values = dict(list(_flatten(line.body))[:MAX_VALUES])
    return {"line": line.number, "values": values, "errors": errors}


def _flatten(body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in body.items():
        if name in ("user", "donor") and isinstance(value, dict):
            yield from _flatten(value)
        elif isinstance(value, int) and abs(value) < 2**63:
            yield name[:MAX_VALUE_LENGTH], value
        else:
            text = str(value)[:MAX_VALUE_LENGTH]
            yield _clean(name[:MAX_VALUE_LENGTH]), _clean(text)


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
