"""Requests that no HTTP library sends, and clients that send slowly, on a real gunicorn."""

import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mongoengine import get_db

from tests.system.service.bad_requests import CATALOGUE, PLAIN, Bad
from tools.bench.slow_clients import STALLED_REQUESTS, stall_connections, time_gifts
from tools.testbed.cast import University, create_university
from tools.testbed.shared_stack import restarted_web
from tools.testbed.stack import Stack

BODY = b'{"name":"F"}'


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """Return one service for all tests. Each test has its own universities."""
    return shared_stack


@pytest.fixture
def alice(stack: Stack) -> University:
    return create_university("Alice's University", stack.api())


def send(stack: Stack, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes. Return the status, the headers and the body after the server closes."""
    port = urlsplit(stack.url).port
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]) if first else 0, headers, body


def test_bodies_with_any_framing_are_read(stack: Stack, alice: University) -> None:
    start = (
        f"POST /v1/fundraisers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {alice.key}\r\nContent-Type: application/json\r\n"
    ).encode()
    length = b"Content-Length: %d\r\n\r\n" % len(BODY)
    chunks = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    small = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY)
    many = b"Transfer-Encoding: Chunked\r\n\r\n" + small + b"0\r\n\r\n"
    asked = b"Expect: 100-continue\r\n"
    for request in (start + length + BODY, start + chunks, start + many):
        status, _, body = send(stack, request)
        assert (status, json.loads(body)["name"]) == (201, "F")
    # The server sends “100 Continue” once to a client that expects it. This client has already
    # received it.
    status, _, body = send(stack, start + asked + length + BODY)
    assert status in {100, 201}
    pipelined = start.replace(b"Connection: close\r\n", b"") + length + BODY
    status, _, rest = send(stack, pipelined + start + length + BODY)
    assert (status, rest.count(b'"name":"F"')) == (201, 2)
    assert len(alice.get("/v1/fundraisers")["data"]) == 6


def wire(bad: Bad, **names: str) -> bytes:
    body = bad.body.format(**names).encode() if isinstance(bad.body, str) else bad.body
    body = body.replace(b"%b", b" " * 65536)
    # Skip headers that contain a brace, because no entry has one.
    head = bad.head.format(**names, length=len(body))
    return head.encode("latin-1") + b"\r\n\r\n" + body


def test_every_bad_request_has_its_status_and_its_problem(stack: Stack, alice: University) -> None:
    charlie = create_university("Charlie's University", stack.api())
    names = {"key": alice.key, "charlie": charlie.key, "spring": alice.fundraiser()}
    assert len(CATALOGUE) + len(PLAIN) >= 70
    assert len({bad.why for bad in CATALOGUE}) == len(CATALOGUE)
    before = counts()
    wrong: list[Any] = []
    for bad in CATALOGUE:
        status, headers, body = send(stack, wire(bad, **names))
        try:
            problem = json.loads(body)
            assert status == bad.status
            assert headers["content-type"] == "application/problem+json"
            assert problem["status"] == status
            assert problem["instance"] == headers["x-request-id"]
            assert {"type", "title", "detail"} <= problem.keys()
            assert headers["x-content-type-options"] == "nosniff"
            assert "server" not in headers
            assert alice.key.encode() not in body
        except (AssertionError, KeyError, ValueError) as error:
            wrong.append((bad.why, bad.status, status, body[:200], repr(error)[:100]))
    assert not wrong, "\n".join(map(str, wrong))
    assert counts() == before
    assert alice.key not in stack.log("web")


def counts() -> dict[str, int]:
    nouns = ("users", "fundraisers", "donations", "emails", "deliveries", "organizations")
    return {noun: get_db()[noun].count_documents({}) for noun in nouns}


def test_stalled_connections_do_not_delay_others(stack: Stack, alice: University) -> None:
    """Each kind has more of the two hundred connections than there are threads.

    slow_clients.py measures the cost. Here, every gift gets a response within the time that one
    connection may stall.
    """
    fundraiser = alice.fundraiser()
    with stall_connections(stack.url, 200):
        took = time_gifts(alice, fundraiser, 40)
    assert len(took) == 40
    assert sum(took) < 20_000


def test_an_incomplete_request_times_out(stack: Stack) -> None:
    with restarted_web(stack, MATCHBACK_REQUEST_SECONDS="1"):
        status, headers, body = send(stack, STALLED_REQUESTS["half a body"])
        assert (status, json.loads(body)["status"]) == (408, 408)
        assert headers["content-type"] == "application/problem+json"
        assert send(stack, STALLED_REQUESTS["half a head"])[0] == 0  # closed


def test_requests_malformed_for_uvicorn_get_its_plain_400(stack: Stack, alice: University) -> None:
    for bad in PLAIN:
        status, headers, body = send(stack, wire(bad, key=alice.key))
        assert (status, body) == (400, b"Invalid HTTP request received."), bad.why
        assert headers["connection"] == "close"
        assert "server" not in headers
    assert "Invalid HTTP" not in stack.log("web")  # a client must not fill the log


def test_stalled_imports_leave_room_for_others(
    stack: Stack, alice: University, tmp_path: Path
) -> None:
    """A client with a valid key may be slow, too.

    Further imports then get a 503, and other requests succeed.
    """
    head = (
        "POST /v1/emails/import HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
        f"Authorization: Bearer {alice.key}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n"
    ).encode()
    port = urlsplit(stack.url).port
    held = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(30)]
    try:
        for connection in held:
            connection.sendall(head)
        assert len(time_gifts(alice, alice.fundraiser(), 20)) == 20
        for connection in held:
            connection.settimeout(0.5)
        told = [first_line(connection) for connection in held]
        assert told.count("HTTP/1.1 503 Service Unavailable") >= 30 - 2 * 4  # half of 8, twice
    finally:
        for connection in held:
            connection.close()


def first_line(connection: socket.socket) -> str:
    try:
        return connection.recv(65536).split(b"\r\n")[0].decode()
    except TimeoutError:
        return ""
