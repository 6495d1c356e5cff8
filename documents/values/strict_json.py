"""Strict and bounded parsing of JSON. Pure."""

import json
import math
from typing import Any

from documents.errors import Unusable

MAX_JSON_DEPTH = 32


def parse_json(body: bytes) -> Any:
    """Parse strict JSON: UTF-8, unique keys, no NaN or Infinity, bounded nesting.

    Raises:
        Unusable: the text is not strict JSON.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise Unusable(f"JSON nested too deeply. Use at most {MAX_JSON_DEPTH} levels.") from None
    except ValueError as error:
        reason = (
            str(error)
            if isinstance(error, _StrictError)
            else "Invalid JSON. Send valid JSON in UTF-8."
        )
        raise Unusable(reason) from None
    # Most bodies have fewer brackets than the limit, so their depth needs no measurement.
    if body.count(b"[") + body.count(b"{") > MAX_JSON_DEPTH and _depth(value) > MAX_JSON_DEPTH:
        raise Unusable(f"JSON nested too deeply. Use at most {MAX_JSON_DEPTH} levels.")
    return value


class _StrictError(ValueError):
    """JSON that lenient parsers accept."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _StrictError("Duplicate key in JSON object. Send each key once.")
    return result


def _no_constant(name: str) -> Any:
    raise _StrictError("NaN and Infinity are not valid JSON. Send a finite number.")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _StrictError("Number too large. Send a smaller number.")
    return value


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level and deepest <= MAX_JSON_DEPTH:
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        deepest += 1
    return deepest
