"""Strict and bounded parsing of request bodies and queries."""

import re
from collections.abc import Iterator
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import falcon
from pydantic import BaseModel

from documents.errors import Unusable
from documents.values import strict_json
from documents.values.validation import validate_value

MAX_JSON_BODY_BYTES = 1024 * 1024
MAX_LINE_BYTES = 64 * 1024
NDJSON_MEDIA_TYPE = "application/x-ndjson"
BROKEN_ESCAPE_PATTERN = re.compile(rb"%(?![0-9a-fA-F]{2})")

M = TypeVar("M", bound=BaseModel)


def bad_request(detail: str) -> falcon.HTTPBadRequest:
    """Return a 400 error with this detail."""
    return falcon.HTTPBadRequest(description=detail)


def read_body(req: falcon.Request, model: type[M]) -> M:
    """Return the JSON body as the model.

    Raises:
        falcon.HTTPError: 400, 413 or 415.
        InvalidRequest: 422.
    """
    _require(req, falcon.MEDIA_JSON)
    req.context.body = read_bytes(req, MAX_JSON_BODY_BYTES)
    value = parse_json(req.context.body)
    return validate_value(model, value, len(req.context.body))


def _require(req: falcon.Request, wanted: str) -> None:
    if (req.content_type or "").split(";")[0].strip().lower() != wanted:
        raise falcon.HTTPUnsupportedMediaType(description=f"Unsupported media type. Send {wanted}.")


def read_bytes(req: falcon.Request, limit: int) -> bytes:
    """Return the whole body, delimited by its length or by chunks."""
    length = req.content_length
    if length is not None and length > limit:
        raise falcon.HTTPContentTooLarge(
            description=f"Request body too large. Send at most {limit} bytes."
        )
    if length is None and "chunked" not in (req.get_header("Transfer-Encoding") or "").lower():
        return b""
    try:
        body = req.stream.read(limit + 1 if length is None else length)
    except OSError:
        raise bad_request("The request body could not be read. Check its framing.") from None
    if length is not None and len(body) < length:
        raise bad_request(
            "The request body ended early. Send as many bytes as Content-Length states."
        )
    if len(body) > limit:
        raise falcon.HTTPContentTooLarge(
            description=f"Request body too large. Send at most {limit} bytes."
        )
    return body


def read_lines(req: falcon.Request) -> Iterator[tuple[int, bytes | None]]:
    """Yield the body's lines with their numbers from 1. The body can have any length.

    A line that is too long is None. Blank lines are omitted.
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
            raise bad_request(
                "The request body ended early. Send as many bytes as Content-Length states."
            )
        number += 1
        if too_long or line.strip():
            yield number, None if too_long else line
        too_long = False
    if too_long:
        yield number + 1, None
    if left:
        raise bad_request(
            "The request body ended early. Send as many bytes as Content-Length states."
        )


def _read_line(req: falcon.Request, left: int | None) -> bytes:
    wanted = MAX_LINE_BYTES if left is None else min(left, MAX_LINE_BYTES)
    try:
        line: bytes = req.env["wsgi.input"].readline(wanted)
    except OSError:
        raise bad_request("The request body could not be read. Check its framing.") from None
    return line


def parse_json(body: bytes) -> Any:
    """Parse strict JSON; see `documents.values.strict_json`.

    Raises:
        falcon.HTTPBadRequest: the body is not strict JSON.
    """
    try:
        return strict_json.parse_json(body)
    except Unusable as error:
        raise bad_request(str(error)) from None


def read_query(req: falcon.Request, model: type[M]) -> M:
    """Return the query as the model.

    Raises:
        falcon.HTTPBadRequest: a parameter is unknown, repeated or not decodable.
        InvalidRequest: a value is not acceptable.
    """
    if not req.query_string and not model.model_fields:
        return model.model_construct()
    names = {field.alias or name for name, field in model.model_fields.items()}
    given: dict[str, str] = {}
    for part in filter(None, req.query_string.split("&")):
        name, _, value = (_decode(piece) for piece in part.partition("="))
        if name in given:
            raise bad_request("Repeated query parameter. Send each parameter once.")
        if name not in names:
            raise bad_request("Unknown query parameter. Remove it.")
        given[name] = value
    return validate_value(model, given)


def _decode(text: str) -> str:
    raw = text.replace("+", " ").encode("latin-1", "replace")
    if BROKEN_ESCAPE_PATTERN.search(raw):
        raise bad_request("Invalid query encoding. Percent-encode the query as UTF-8.")
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise bad_request("Invalid query encoding. Percent-encode the query as UTF-8.") from None
