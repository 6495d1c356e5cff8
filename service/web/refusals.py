"""Answers to what never becomes a request, as bytes on the wire."""

from http import HTTPStatus

import orjson

from service.middleware import SECURITY_HEADERS, new_request_id
from service.problems import MEDIA_TYPE, problem


def refusal(status: int, detail: str) -> bytes:
    """Return a whole response: a problem document, and the end of the connection."""
    request_id = new_request_id()
    body = orjson.dumps(problem(status, detail, request_id))
    headers = {
        "Connection": "close",
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id,
        **SECURITY_HEADERS,
    }
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
