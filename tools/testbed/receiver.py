"""A receiver of outgoing events, in the event loop of a test. It answers as the test decides."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from service.local.servers import LOOPBACK_ADDRESS

OK_RESPONSE = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes
    is_closed: Callable[[], bool] = lambda: False

    @property
    def event(self) -> dict[str, Any]:
        """The event in the body."""
        event: dict[str, Any] = orjson.loads(self.body)
        return event


Answer = Callable[[ReceivedRequest, asyncio.StreamWriter], Awaitable[None]]


def build_response(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return a response with this status."""
    lines = [f"HTTP/1.1 {status} Status", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answer_with(*responses: bytes) -> Answer:
    """Return an answer that sends these responses in turn, and the last one again and again."""
    left = list(responses)

    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return answer


async def hang(request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
    """Wait until the client closes the connection, and never answer."""
    while not request.is_closed():
        await asyncio.sleep(0.02)


@dataclass
class Receiver:
    """A server with the requests that it received."""

    url: str = ""
    answer: Answer = field(default_factory=lambda: answer_with(OK_RESPONSE))
    requests: list[ReceivedRequest] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    local_addresses: list[str] = field(default_factory=list)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that arrived, with repeats."""
        return [one.event for one in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        self.open_connections += 1
        self.local_addresses.append(writer.get_extra_info("sockname")[0])
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            while request := await _read_request(reader):
                self.requests.append(request)
                await self.answer(request, writer)
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)
            writer.transport.abort()

    def hang_up(self) -> None:
        """Close all connections."""
        for task in tuple(self._tasks):
            task.cancel()


async def _read_request(reader: asyncio.StreamReader) -> ReceivedRequest | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode().split("\r\n")[:-2]
    headers = {
        name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return ReceivedRequest(first.split(" ")[1], headers, body, reader.at_eof)


@asynccontextmanager
async def run_receiver(
    answer: Answer | None = None,
    tls: ssl.SSLContext | None = None,
    host: str = LOOPBACK_ADDRESS,
) -> AsyncIterator[Receiver]:
    """Run a receiver on the loopback address."""
    receiver = Receiver()
    if answer:
        receiver.answer = answer
    server = await asyncio.start_server(receiver.serve, host, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    receiver.url = f"{'https' if tls else 'http'}://{LOOPBACK_ADDRESS}:{port}/hook"
    try:
        yield receiver
    finally:
        server.close()
        receiver.hang_up()
