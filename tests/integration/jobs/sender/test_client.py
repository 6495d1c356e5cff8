"""The sender reaches only addresses that may receive events, and no receiver holds it for long."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from documents.outgoing.attempts import Attempt
from jobs.sender import client as client_module
from jobs.sender.client import Client
from jobs.sender.responses import BLOCKED_ERROR, TIMEOUT_ERROR
from tools.testbed.coroutines import run_coroutine
from tools.testbed.receiver import (
    OK_RESPONSE,
    ReceivedRequest,
    Receiver,
    answer_with,
    build_response,
    hang,
    run_receiver,
)
from tools.testbed.tls import make_certificate

LOOPBACK = ip_network("127.0.0.0/8")
QUICK_SECONDS = 0.5


@asynccontextmanager
async def open_client(
    networks: Iterable[Any] = (LOOPBACK,), seconds: float = 10.0
) -> AsyncIterator[Client]:
    client = Client(networks, dns_threads=2, attempt_seconds=seconds)
    try:
        yield client
    finally:
        await client.close()


async def post(client: Client, url: str) -> Attempt:
    return await client.post(url, {"webhook-id": "evt_1"}, b"{}")


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let the resolver give these answers in turn. Return the names that it was asked for."""
    asked: list[str] = []

    def resolve(host: str, port: int, family: int) -> list[tuple[Any, ...]]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(client_module, "resolve_host", resolve)
    monkeypatch.setattr(client_module, "DNS_CACHE_SECONDS", 0)
    return asked


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "0", "[::]"),
    ],
)
def test_no_form_of_a_private_host_is_connected_to(host: str) -> None:
    async def run() -> None:
        async with run_receiver() as receiver, open_client(networks=()) as client:
            port = urlsplit(receiver.url).port
            attempt = await post(client, f"https://{host}:{port}/hook")
            # aiohttp itself rejects some of the numbers.
            assert attempt.status is None
            assert attempt.error in (BLOCKED_ERROR, "The URL is not valid.")
            assert receiver.connections == 0

    run_coroutine(run())


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.5", "100.100.100.200"])
def test_a_name_with_a_private_address_is_not_connected_to(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolve_to(monkeypatch, [address])

    async def run() -> None:
        async with open_client(networks=()) as client:
            attempt = await post(client, "https://crm.example.edu/hook")
            assert attempt.error == BLOCKED_ERROR

    run_coroutine(run())
    assert asked == ["crm.example.edu"]


def test_a_name_that_changes_its_address_is_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only 127.0.0.2 may receive events here. The connection uses the answer that was checked."""
    asked = resolve_to(monkeypatch, ["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1", "127.0.0.2"])

    async def run() -> None:
        answer = answer_with(build_response(200, connection="close"))
        async with (
            run_receiver(answer, host="0.0.0.0") as receiver,
            open_client([IPv4Network("127.0.0.2/32")]) as client,
        ):
            url = f"http://crm.example.edu:{urlsplit(receiver.url).port}/hook"
            assert (await post(client, url)).status == 200
            assert len(asked) == 1
            blocked = await post(client, url)
            assert (blocked.status, blocked.error) == (None, BLOCKED_ERROR)
            assert receiver.connections == 1
            assert (await post(client, url)).status == 200
            assert len(asked) == 3
            assert receiver.local_addresses == ["127.0.0.2", "127.0.0.2"]

    run_coroutine(run())


def test_http_reaches_the_private_networks_only() -> None:
    async def run() -> None:
        async with run_receiver() as receiver, open_client() as client:
            assert (await post(client, receiver.url)).status == 204
            for scheme in ("http", "HTTP"):
                assert (await post(client, f"{scheme}://8.8.8.8/")).error == BLOCKED_ERROR

    run_coroutine(run())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    async def run() -> None:
        async with run_receiver() as target:
            answer = answer_with(build_response(status, location=target.url))
            async with run_receiver(answer) as receiver, open_client() as client:
                attempt = await post(client, receiver.url)
                assert attempt.status == status
                assert "Redirects are not followed" in attempt.error
                assert target.connections == 0

    run_coroutine(run())


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with run_receiver() as proxy, run_receiver() as receiver:
            for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url)
            async with open_client() as client:
                assert (await post(client, receiver.url)).status == 204
            assert proxy.connections == 0

    run_coroutine(run())


async def answer_endlessly(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def drip_body(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("answer", [answer_endlessly, drip_body])
def test_the_status_counts_although_the_body_does_not_end(
    answer: Callable[[ReceivedRequest, asyncio.StreamWriter], Awaitable[None]],
) -> None:
    async def run() -> None:
        async with run_receiver(answer) as receiver, open_client(seconds=QUICK_SECONDS) as client:
            attempt = await post(client, receiver.url)
            assert (attempt.status, attempt.error) == (200, "")
            assert attempt.seconds < 2 * QUICK_SECONDS + 1
            await wait_until_closed(receiver)

    run_coroutine(run())


async def wait_until_closed(receiver: Receiver) -> None:
    async with asyncio.timeout(10):
        while receiver.open_connections:
            await asyncio.sleep(0.02)


async def drip_head(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nx-filler: " + b"x" * 1_000_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.02)


async def continue_endlessly(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("answer", [hang, drip_head, continue_endlessly])
def test_a_head_that_does_not_end_is_a_time_out(
    answer: Callable[[ReceivedRequest, asyncio.StreamWriter], Awaitable[None]],
) -> None:
    async def run() -> None:
        async with run_receiver(answer) as receiver, open_client(seconds=QUICK_SECONDS) as client:
            attempt = await post(client, receiver.url)
            assert (attempt.status, attempt.error) == (None, TIMEOUT_ERROR)
            assert attempt.is_timeout

    run_coroutine(run())


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
    ],
)
def test_a_response_that_is_not_http_is_a_failure(response: bytes) -> None:
    async def run() -> None:
        async with run_receiver(answer_with(response)) as receiver, open_client() as client:
            attempt = await post(client, receiver.url)
            assert (attempt.status, attempt.error) == (None, "The response is not valid HTTP.")

    run_coroutine(run())


def test_a_compressed_body_is_not_expanded() -> None:
    async def run() -> None:
        answer = answer_with(build_response(200, b"no gzip", content_encoding="gzip"))
        async with run_receiver(answer) as receiver, open_client() as client:
            assert (await post(client, receiver.url)).error == ""

    run_coroutine(run())


def test_a_connection_that_never_opens_is_a_time_out() -> None:
    """A full queue of connections drops the next one, like a firewall."""

    async def run() -> None:
        with socket.socket() as full, open_sockets(4) as clients:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for one in clients:
                one.connect_ex(full.getsockname())
            async with open_client(seconds=QUICK_SECONDS) as client:
                attempt = await post(client, f"http://127.0.0.1:{full.getsockname()[1]}/")
            assert attempt.error == TIMEOUT_ERROR

    run_coroutine(run())


@contextmanager
def open_sockets(count: int) -> Iterator[list[socket.socket]]:
    """Open sockets that do not block."""
    found = [socket.socket() for _ in range(count)]
    try:
        for one in found:
            one.setblocking(False)
        yield found
    finally:
        for one in found:
            one.close()


def test_a_refused_connection_is_a_failure() -> None:
    async def run() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
            async with open_client() as client:
                assert (await post(client, url)).error == "The host rejected the connection."

    run_coroutine(run())


def test_an_idle_connection_that_the_receiver_closed_is_no_failure() -> None:
    """The receiver closes a kept connection when the next request arrives."""

    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if len(receivers[0].requests) == 2:
            writer.transport.abort()
        else:
            writer.write(OK_RESPONSE)

    receivers: list[Receiver] = []

    async def run() -> None:
        async with run_receiver(answer) as receiver, open_client() as client:
            receivers.append(receiver)
            assert (await post(client, receiver.url)).status == 204
            assert (await post(client, receiver.url)).status == 204
            assert receiver.connections == 2
            assert len(receiver.requests) == 3

    run_coroutine(run())


def test_a_receiver_with_a_certificate_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    asked = resolve_to(monkeypatch, ["127.0.0.1"])

    async def run() -> None:
        async with run_receiver(tls=tls) as receiver:
            async with open_client() as client:
                unknown = await post(client, receiver.url)
                assert unknown.error == "The certificate is not valid."
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            async with open_client() as client:
                assert (await post(client, receiver.url)).status == 204
                foreign = receiver.url.replace("127.0.0.1", "crm.example.edu")
                assert (await post(client, foreign)).error == "The certificate is not valid."
            assert len(receiver.requests) == 1

    run_coroutine(run())
    assert asked == ["crm.example.edu"]


def test_tls_that_never_answers_is_a_time_out() -> None:
    async def run() -> None:
        async with run_receiver() as receiver, open_client(seconds=QUICK_SECONDS) as client:
            attempt = await post(client, receiver.url.replace("http://", "https://"))
            assert attempt.error == TIMEOUT_ERROR

    run_coroutine(run())


@pytest.mark.parametrize(
    "url", ["https://[::1/", "https://a b/", "https://a:99999/", "gopher://a/"]
)
def test_a_url_that_is_not_valid_is_a_failure(url: str) -> None:
    async def run() -> None:
        async with open_client() as client:
            attempt = await post(client, url)
            assert attempt.status is None
            assert attempt.error

    run_coroutine(run())
