"""Items of a JSON array, parsed so that one bad item does not block the others. Pure.

Valid JSON takes the fast path. Otherwise, one pass over the text splits it, and each item is parsed
alone. So the cost is linear in the length of any body.
"""

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson

from documents.errors import Unusable

# Possessive, so that no text causes backtracking. After an unclosed string, each later quote would
# start a search to the end, so find the text before the unclosed string first.
_STRING = r'"(?:[^"\\]++|\\.)*+"'
_BALANCED = re.compile(rf'(?:[^"]++|{_STRING})*+', re.DOTALL)
_TOKEN = re.compile(rf"{_STRING}|[\[\]{{}},]", re.DOTALL)
_MARK = re.compile(r"[\[\]{},]")
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}

# Parse integers as floats, because Python reads an integer in time quadratic in its digits.
_decoder = json.JSONDecoder(strict=False, parse_int=float)


def read_items(body: bytes) -> list[Any]:
    """Return the items of an array. An item that is not valid JSON becomes None.

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
    """Return the text between the outer brackets."""
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
    """Yield the items between commas that are outside of strings, objects and arrays."""
    start = 0
    for comma in _commas(text):
        yield text[start:comma]
        start = comma + 1
    if text and not text.isspace():
        yield text[start:]


def _commas(text: str) -> Iterator[int]:
    """Yield the positions of the commas outside of strings, objects and arrays."""
    open_quote = _BALANCED.match(text).end()  # type: ignore[union-attr]  # it matches any text
    depth = 0
    for token in chain(_TOKEN.finditer(text, 0, open_quote), _MARK.finditer(text, open_quote)):
        mark = token[0]
        if mark == "," and depth == 0:
            yield token.start()
        else:
            depth += _DEPTH.get(mark, 0)
