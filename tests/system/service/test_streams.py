"""Streams on a real gunicorn with one process and one thread, which they must not block."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httptools
import httpx
import psutil
import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.organization import Organization
from service.local.command import build_serve_command
from tests.system.service import streaming_app
from tools.bench.dashboard_idle import open_session
from tools.testbed.stack import WAIT_TIMEOUT_SECONDS, Stack, wait_until

LIMIT = 30
ASK = b"GET /streams HTTP/1.1\r\nHost: x\r\n\r\n"
LIVE = "GET /dashboard/live?watch=fundraisers:{id} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n"


@pytest.fixture(scope="module")
def stack_settings() -> Iterator[dict[str, str]]:
    """Replace the service by the application that streams."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(
            "tools.testbed.stack.build_serve_command",
            lambda: [*build_serve_command(), streaming_app.APP],
        )
        yield {
            "MATCHBACK_WEB_WORKERS": "1",
            "MATCHBACK_WEB_THREADS": "1",
            "GUNICORN_CMD_ARGS": f"--graceful-timeout={2 * WAIT_TIMEOUT_SECONDS}",
            streaming_app.LIMIT: str(LIMIT),
        }


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """Return one service for all tests. Each test closes its connections."""
    return shared_stack


class Client:
    """A client that reads only on request."""

    def __init__(self, stack: Stack, window: int = 0, request: bytes = ASK) -> None:
        self.socket = socket.socket()
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", urlsplit(stack.url).port))
        self.socket.sendall(request)
        self.head = self.read = b""
        while b"\r\n\r\n" not in self.head:
            self.head += self.socket.recv(1)
        # HTTP frames a stream in chunks, whose contents a client reads.
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(self.head)

    def on_body(self, body: bytes) -> None:
        self.read += body

    def until(self, wanted: bytes) -> bytes:
        """Read until these bytes arrive."""
        while wanted not in self.read:
            data = self.socket.recv(65536)
            assert data, self.read
            self._parser.feed_data(data)
        return self.read

    def rest(self) -> bytes:
        """Read to the end."""
        while data := self.socket.recv(65536):
            self._parser.feed_data(data)
        return self.read


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def connect(stack: Stack, clients: ExitStack, **how: Any) -> Client:
    client = Client(stack, **how)
    clients.callback(client.socket.close)
    return client


def ask(stack: Stack, method: str = "GET", path: str = "/readyz") -> Any:
    answer = httpx.request(method, stack.url + path, timeout=30)
    assert answer.status_code == 200
    return answer


def open_streams(stack: Stack) -> int:
    return int(ask(stack).json()["streams"])


def test_twenty_streams_leave_the_only_thread_to_requests(stack: Stack, clients: ExitStack) -> None:
    threads = ask(stack).json()["threads"]
    opened = [connect(stack, clients) for _ in range(20)]
    for client in opened:
        assert client.until(b"hello\n") == b"hello\n"
        head = client.head.decode()
        assert head.startswith("HTTP/1.1 200 OK\r\n")
        assert "connection: close" in head
    assert ask(stack).json() == {"streams": 20, "threads": threads}
    ask(stack, "POST", "/streams?times=3")
    for client in opened:
        client.until(streaming_app.TAKEN * 3)


def test_a_disconnected_client_is_removed(stack: Stack, clients: ExitStack) -> None:
    """The client closes or loses its connection. The server notices without sending data."""
    gone, cut, stays = (connect(stack, clients) for _ in range(3))
    gone.socket.close()
    cut.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    cut.socket.close()
    wait_until(lambda: open_streams(stack) == 1, "two streams to be removed")
    ask(stack, "POST", "/streams?times=1")
    stays.until(streaming_app.TAKEN)


def test_an_ended_stream_is_sent_completely(stack: Stack, clients: ExitStack) -> None:
    client = connect(stack, clients)
    ask(stack, "POST", "/streams?times=50")
    ask(stack, "DELETE", "/streams")
    assert client.rest() == b"hello\n" + streaming_app.TAKEN * 50 + b"bye\n"
    assert open_streams(stack) == 0


def test_a_client_that_reads_nothing_is_dropped(stack: Stack, clients: ExitStack) -> None:
    """A client that reads its data receives all of it."""
    connect(stack, clients, window=4096)
    takes = connect(stack, clients)
    sent = 0
    while open_streams(stack) == 2:
        ask(stack, "POST", "/streams?times=50")
        sent += 50
        takes.until(b"hello\n" + streaming_app.TAKEN * sent)
        assert sent < 10_000
    assert open_streams(stack) == 1


def test_beyond_the_limit_clients_get_a_503(stack: Stack, clients: ExitStack) -> None:
    """When a client leaves, another one can connect."""
    opened = [connect(stack, clients) for _ in range(LIMIT)]
    refused = connect(stack, clients).head
    assert refused.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 10\r\n" in refused.lower()
    opened[0].socket.close()
    wait_until(lambda: open_streams(stack) == LIMIT - 1, "one stream to be removed")
    connect(stack, clients).until(b"hello\n")


def test_a_reload_ends_streams_without_delay(stack: Stack, clients: ExitStack) -> None:
    """Clients that also close are gone at once, and the old process with them."""
    opened = [connect(stack, clients) for _ in range(20)]
    master = psutil.Process(stack.pid("web"))
    (old,) = master.children()
    os.kill(master.pid, signal.SIGHUP)
    for client in opened:
        assert client.rest().endswith(b"hello\n")
        client.socket.close()
    # A remaining stream would take graceful_timeout, which is twice as long.
    gone, _ = psutil.wait_procs([old], WAIT_TIMEOUT_SECONDS)
    assert gone == [old]
    connect(stack, clients).until(b"hello\n")


def test_an_open_page_receives_changes_and_an_outage(stack: Stack, clients: ExitStack) -> None:
    """The whole path: a stream, the watching thread, and a MongoDB that hangs for a while."""
    id_ = ObjectId()
    Organization(id=id_, name="Alice's University").save(force_insert=True)
    get_db().fundraisers.insert_one({"_id": id_, "organization_id": id_, "donations_count": 0})
    request = LIVE.format(id=id_, cookie=open_session(id_)["Cookie"])
    client = connect(stack, clients, request=request.encode())
    client.until(b"event: hello\n")
    get_db().fundraisers.update_one({"_id": id_}, {"$inc": {"donations_count": 1}})
    client.until(b"event: changed\n")
    mongod = stack.servers.pid("MongoDB")
    os.kill(mongod, signal.SIGSTOP)
    try:
        client.until(b"event: away\n")
        assert open_streams(stack) == 0  # an ordinary request, served by the only thread
    finally:
        os.kill(mongod, signal.SIGCONT)
    client.until(b"event: back\n")


def test_under_another_server_a_stream_sends_only_its_beginning() -> None:
    """For example with the tests' client, which waits for the end of a response."""
    client = testing.TestClient(streaming_app.create_app())
    assert client.simulate_get("/streams").content == b"hello\n"
    assert client.simulate_get("/readyz").json["streams"] == 0
