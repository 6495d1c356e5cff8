"""Strict and bounded parsing of a request's body and query."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import falcon
from pydantic import BaseModel

from service.api.validation import validate_value

MAX_JSON_BODY_BYTES = 1024 * 1024
MAX_LINE_BYTES = 64 * 1024
NDJSON_MEDIA_TYPE = "application/x-ndjson"
MAX_JSON_DEPTH = 32
BROKEN_ESCAPE_PATTERN = re.compile(rb"%(?![0-9a-fA-F]{2})")

M = TypeVar("M", bound=BaseModel)


def bad_request(detail: str) -> falcon.HTTPBadRequest:
    """400, in our words."""
    return falcon.HTTPBadRequest(description=detail)


def read_body(req: falcon.Request, model: type[M]) -> M:
    """The JSON body as the model.

    Raises:
        falcon.HTTPError: 400, 413 or 415.
        Invalid: 422.
    """
    _require(req, falcon.MEDIA_JSON)
    req.context.body = read_bytes(req, MAX_JSON_BODY_BYTES)
    return validate_value(model, parse_json(req.context.body))


def _require(req: falcon.Request, wanted: str) -> None:
    if (req.content_type or "").split(";")[0].strip().lower() != wanted:
        raise falcon.HTTPUnsupportedMediaType(description=f"Send {wanted}.")


def read_bytes(req: falcon.Request, limit: int) -> bytes:
    """Return the whole body, framed by its length or by chunks."""
    length = req.content_length
    if length is not None and length > limit:
        raise falcon.HTTPContentTooLarge(description=f"A body is {limit} bytes at most.")
    if length is None and "chunked" not in (req.get_header("Transfer-Encoding") or "").lower():
        return b""
    try:
        body = req.stream.read(limit + 1 if length is None else length)
    except OSError:
        raise bad_request("The body could not be read.") from None
    if length is not None and len(body) < length:
        raise bad_request("The body ended too early.")
    if len(body) > limit:
        raise falcon.HTTPContentTooLarge(description=f"A body is {limit} bytes at most.")
    return body


def read_lines(req: falcon.Request) -> Iterator[tuple[int, bytes | None]]:
    """The lines of a body of any length, one at a time, with their numbers from 1.

    A line that is too long is None. Blank lines are left out.
    """
    _require(req, NDJSON_MEDIA_TYPE)
    number, too_long = 0, False
    left = req.content_length
    while line := _read_line(req, left):
        left = None if left is None else left - len(line)
        ends = line.endswith(b"\n")
        if not ends and len(line) == MAX_LINE_BYTES:
            too_long = True
            continue
        if not ends and left:
            raise bad_request("The body ended too early.")
        number += 1
        if too_long or line.strip():
            yield number, None if too_long else line
        too_long = False
    if too_long:
        yield number + 1, None
    if left:
        raise bad_request("The body ended too early.")


def _read_line(req: falcon.Request, left: int | None) -> bytes:
    wanted = MAX_LINE_BYTES if left is None else min(left, MAX_LINE_BYTES)
    try:
        line: bytes = req.env["wsgi.input"].readline(wanted)
    except OSError:
        raise bad_request("The body could not be read.") from None
    return line


def parse_json(body: bytes) -> Any:
    """Strict JSON: UTF-8, no duplicate keys, no NaN or Infinity, not nested too deeply."""
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise bad_request(f"JSON is nested {MAX_JSON_DEPTH} levels at most.") from None
    except ValueError as error:
        reason = str(error) if isinstance(error, _StrictError) else "This is not JSON in UTF-8."
        raise bad_request(reason) from None
    if _depth(value) > MAX_JSON_DEPTH:
        raise bad_request(f"JSON is nested {MAX_JSON_DEPTH} levels at most.")
    return value


class _StrictError(ValueError):
    """JSON that other parsers let pass."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _StrictError("A key stands twice in one object.")
    return result


def _no_constant(name: str) -> Any:
    raise _StrictError("NaN and Infinity are not JSON.")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _StrictError("A number is too large.")
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


def read_query(req: falcon.Request, model: type[M]) -> M:
    """The query as the model.

    Raises:
        falcon.HTTPBadRequest: a parameter is unknown, repeated, or not decodable.
        Invalid: its value cannot be used.
    """
    given: dict[str, str] = {}
    for part in filter(None, req.query_string.split("&")):
        name, _, value = (_decode(piece) for piece in part.partition("="))
        if name in given:
            raise bad_request("A query parameter is repeated.")
        if name not in model.model_fields:
            raise bad_request("A query parameter is unknown.")
        given[name] = value
    return validate_value(model, given)


def _decode(text: str) -> str:
    raw = text.replace("+", " ").encode("latin-1", "replace")
    if BROKEN_ESCAPE_PATTERN.search(raw):
        raise bad_request("The query is not decodable.")
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise bad_request("The query is not decodable.") from None
