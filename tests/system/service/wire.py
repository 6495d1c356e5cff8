"""A client that speaks HTTP byte by byte, and reads exactly the bytes of the response."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tools.testbed.cast import University
from tools.testbed.stack import Stack

NDJSON = "application/x-ndjson"


@dataclass
class Answer:
    """One response, which may be an interim one (1xx)."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        return self.headers.get("connection", "").lower() == "close"


class Wire:
    """One connection."""

    def __init__(self, url: str, window: int = 0) -> None:
        address = urlsplit(url)
        self.socket = socket.socket(socket.AF_INET)
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.settimeout(60)
        self.socket.connect((address.hostname, address.port))
        self._read = b""

    def send(self, data: bytes) -> "Wire":
        self.socket.sendall(data)
        return self

    def answer(self) -> Answer:
        """Read one response. Its status is 0 if the connection ends before one begins."""
        while b"\r\n\r\n" not in self._read:
            if not self._more():
                assert not self._read, self._read
                return Answer(0, {}, b"")
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(": ") for line in lines)
        headers = {name.lower(): value for name, _, value in pairs}
        length = int(headers.get("content-length", 0))
        while len(self._read) < length:
            assert self._more(), "the answer was cut off"
        body, self._read = self._read[:length], self._read[length:]
        return Answer(int(first.split()[1]), headers, body)

    def rest(self) -> bytes:
        """Read until the server closes."""
        while self._more():
            pass
        return self._read

    def is_closed(self) -> bool:
        """Return whether the server closes the connection in order."""
        return self.rest() == b""

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self._read += data
        return bool(data)


@contextmanager
def wire(stack: Stack, data: bytes = b"", window: int = 0) -> Iterator[Wire]:
    """Open a connection and send these bytes."""
    opened = Wire(stack.url, window)
    try:
        yield opened.send(data)
    finally:
        opened.socket.close()


def head(
    target: str,
    *fields: str,
    method: str = "POST",
    key: University | None = None,
    media: str = "application/json",
) -> bytes:
    """Return a request's head, with its empty line."""
    lines = [f"{method} {target} HTTP/1.1", "Host: x", f"Content-Type: {media}", *fields]
    if key is not None:
        lines.append(f"Authorization: Bearer {key.key}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def sized(target: str, body: bytes, *fields: str, **how: Any) -> bytes:
    """Return a request with the length of its body."""
    return head(target, *fields, f"Content-Length: {len(body)}", **how) + body


def chunked(target: str, chunks: bytes, *fields: str, **how: Any) -> bytes:
    """Return a request whose body has these chunks."""
    return head(target, *fields, "Transfer-Encoding: chunked", **how) + chunks
