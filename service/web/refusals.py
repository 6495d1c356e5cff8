"""How gunicorn answers here, also when there is no request to give to a thread."""

import contextlib
import socket
from http import HTTPStatus

import orjson
from gunicorn.http import errors, wsgi
from gunicorn.util import write_nonblock

from service.middleware import SECURITY_HEADERS, new_request_id
from service.problems import MEDIA_TYPE, problem

MALFORMED = (400, "The request is not well-formed HTTP.")
REFUSALS: dict[type[Exception], tuple[int, str]] = {
    errors.LimitRequestLine: (414, "The request line is too long."),
    errors.LimitRequestHeaders: (431, "The header fields are too large, or too many."),
    errors.ExpectationFailed: (417, "The only expectation that is met is 100-continue."),
    errors.UnsupportedTransferCoding: (501, "The only transfer coding that is read is chunked."),
}


class Response(wsgi.Response):
    """gunicorn's, without the name of the server."""

    def default_headers(self) -> list[str]:
        return [line for line in super().default_headers() if not line.startswith("Server:")]

    def is_chunked(self) -> bool:
        # A stream ends with its connection: gunicorn would mark its end when the thread is done.
        return getattr(self.sock, "stream", None) is None and super().is_chunked()


def send_problem(sock: socket.socket, status: int, detail: str) -> None:
    """Answer with a problem document, as far as the client takes it at once."""
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
    with contextlib.suppress(OSError):
        write_nonblock(sock, "\r\n".join(lines).encode() + b"\r\n\r\n" + body)
