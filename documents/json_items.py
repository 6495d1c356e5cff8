"""The items of a JSON array, read so that one bad item does not cost the others. Pure.

Valid JSON takes the fast path. Anything else is split by one pass over the text and parsed item by
item, so the cost is linear in the length of the body, whatever the body contains.
"""

import json
from collections.abc import Iterator
from typing import Any

import orjson

from documents.errors import Unusable

# Floats, because Python's time to read an integer grows with the square of its digits.
_decoder = json.JSONDecoder(strict=False, parse_int=float)


def read_items(body: bytes) -> list[Any]:
    """Return the items of an array; an item that is not valid JSON becomes None.

    Raises:
        Unusable: the body is not an array.
    """
    try:
        items = orjson.loads(body)
    except ValueError:
        return [_read_item(item) for item in _split(_inside(body))]
    if not isinstance(items, list):
        raise Unusable("not an array")
    return items


def count_items(body: bytes) -> int:
    """Return the number of items that `read_items` returns.

    Raises:
        Unusable: the body is not an array.
    """
    try:
        items = orjson.loads(body)
    except ValueError:
        return sum(1 for _ in _split(_inside(body)))
    if not isinstance(items, list):
        raise Unusable("not an array")
    return len(items)


def _inside(body: bytes) -> str:
    """Return what stands between the outer brackets."""
    text = body.decode("utf-8", "replace").strip()
    if not (text.startswith("[") and text.endswith("]")):
        raise Unusable("not an array")
    return text[1:-1]


def _read_item(text: str) -> Any:
    if not text or text.isspace():
        return None
    try:
        return _decoder.decode(text)
    except (ValueError, RecursionError):
        return None


def _split(text: str) -> Iterator[str]:
    """Yield the items between the commas that are in no string, object or array."""
    start = 0
    for comma in _commas(text):
        yield text[start:comma]
        start = comma + 1
    if text and not text.isspace():
        yield text[start:]


def _commas(text: str) -> Iterator[int]:
    """Yield the positions of the commas outside of strings, objects and arrays."""
    depth = at = 0
    strings_end = True
    while at < len(text):
        char = text[at]
        at += 1
        if char == '"' and strings_end:
            end = _end_of_string(text, at)
            # After a string that never ends, no later one ends: all other quotes are escaped.
            # So the search to the end of the text happens once.
            strings_end = end > 0
            at = end or at
        elif char in "[{":
            depth += 1
        elif char in "]}":
            depth -= 1
        elif char == "," and depth == 0:
            yield at - 1


def _end_of_string(text: str, start: int) -> int:
    """Return the position after the closing quote; 0 if the string never ends."""
    while (quote := text.find('"', start)) >= 0:
        before = text[start:quote]
        backslashes = len(before) - len(before.rstrip("\\"))
        if backslashes % 2 == 0:
            return quote + 1
        start = quote + 1
    return 0
