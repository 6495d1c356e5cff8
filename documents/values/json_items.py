"""The items of a JSON array, read so that one bad item does not cost the others. Pure.

Valid JSON takes the fast path. Anything else is split by one pass over the text and parsed item by
item, so the cost is linear in the length of the body, whatever the body contains.
"""

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson

from documents.errors import Unusable

# Possessive, so that no text makes the search go back. A string that never ends would make a search
# for strings read to the end from each later quote, so what precedes it is found first.
_STRING = r'"(?:[^"\\]++|\\.)*+"'
_BALANCED = re.compile(rf'(?:[^"]++|{_STRING})*+', re.DOTALL)
_TOKEN = re.compile(rf"{_STRING}|[\[\]{{}},]", re.DOTALL)
_MARK = re.compile(r"[\[\]{},]")
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}

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
    open_quote = _BALANCED.match(text).end()  # type: ignore[union-attr]  # it matches anything
    depth = 0
    for token in chain(_TOKEN.finditer(text, 0, open_quote), _MARK.finditer(text, open_quote)):
        mark = token[0]
        if mark == "," and depth == 0:
            yield token.start()
        else:
            depth += _DEPTH.get(mark, 0)
