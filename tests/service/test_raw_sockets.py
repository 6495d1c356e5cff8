"""What no HTTP library would send, on a real gunicorn."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from tests.cast import University, university
from tests.stack import Stack

BODY = b'{"name":"F"}'


@pytest.fixture
def alice(stack: Stack) -> University:
    return university("Alice's University", stack.api())


def send(stack: Stack, request: bytes) -> tuple[int, bytes]:
    """Send bytes; returns the status and the body of what comes back."""
    port = urlsplit(stack.url).port
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body


def test_bodies_are_read_however_they_are_framed(stack: Stack, alice: University) -> None:
    start = (
        f"POST /v1/fundraisers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {alice.key}\r\nContent-Type: application/json\r\n"
    ).encode()
    length = b"Content-Length: %d\r\n\r\n" % len(BODY)
    chunks = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    for request in (start + length + BODY, start + chunks):
        status, body = send(stack, request)
        assert (status, json.loads(body)["name"]) == (201, "F")
    chunked = b"Transfer-Encoding: chunked\r\n\r\n"
    for bad in (
        b"\r\n",
        b"Content-Length: 3\r\nContent-Length: 12\r\n\r\n" + BODY,
        b"Content-Length: 3\r\n" + chunked + b"0\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 0x10\r\n\r\n" + BODY,
        b"Content-Length: 100\r\n\r\n" + BODY,
        chunked + b"zz\r\n" + BODY + b"\r\n0\r\n\r\n",
        chunked + b"5\r\nabc",
        chunked + b"-5\r\nabcde\r\n0\r\n\r\n",
    ):
        status, _ = send(stack, start + bad)
        assert status == 400, bad
    too_large = b"".join(b"10000\r\n" + b" " * 65536 + b"\r\n" for _ in range(17)) + b"0\r\n\r\n"
    assert send(stack, start + chunked + too_large)[0] == 413
    assert len(alice.get("/v1/fundraisers")["data"]) == 2


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GARBAGE", 400),
        (b"GET /v1/users?x=" + b"a" * 10_000 + b" HTTP/1.1", 414),
        (b"GET /v1/users HTTP/9.9", 400),
        (b"GET /v1/users HTTP/1.1\r\n" + b"\r\n".join(b"X-%d: 1" % n for n in range(101)), 431),
        (b"GET /v1/users HTTP/1.1\r\nAuthorization: Bearer mb_\xff\xfe", 401),
        (b"GET /healthz HTTP/1.1\r\nX-Request-Id: \xff\xfe\xe9", 200),
    ],
)
def test_odd_heads(stack: Stack, request_line: bytes, status: int) -> None:
    request = request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert send(stack, request)[0] == status
