"""Streams: responses without an end, such as the dashboard's server-sent events.

A resource creates a stream and hands it over, which frees its thread. Any thread can send to the
stream. The event loop writes to the client.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any

from service.server.asgi import Receive, Send

MAX_STREAMS = 1000  # maximum number per process
MAX_UNREAD_STREAM_BYTES = 64 * 1024  # a client that leaves more data unread is dropped
STREAM_KEY = "matchback.stream"  # in a request's state

_places = threading.BoundedSemaphore(MAX_STREAMS)
_open: set["Stream"] = set()


class TooManyStreams(Exception):
    """This process has reached its limit of streams."""


class Stream:
    """One client's stream. The code that creates it closes it or hands it over.

    Raises:
        TooManyStreams: at creation.
    """

    def __init__(self) -> None:
        if not _places.acquire(blocking=False):
            raise TooManyStreams
        self._lock = threading.Lock()
        self._unsent = b""
        self._is_ended = False
        self._when_closed: list[Callable[[], None]] = [_places.release]
        self._wake: Callable[[], object] = lambda: None

    def send(self, data: bytes) -> None:
        """Send data without waiting. After the end, drop it; with too much unread, close."""
        with self._lock:
            self._unsent += b"" if self._is_ended else data
            is_overfull = len(self._unsent) > MAX_UNREAD_STREAM_BYTES
        if is_overfull:
            self.close()
        self._wake()

    def end(self) -> None:
        """Close the stream once the client has the data."""
        self._is_ended = True
        self._wake()

    def close(self) -> None:
        """Drop unsent data and free the place. A second call does nothing."""
        self._is_ended = True
        with self._lock:
            self._unsent = b""
            callbacks, self._when_closed = self._when_closed, []
        for callback in callbacks:
            callback()

    def when_closed(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the stream closes, or now if it is closed. It must not block."""
        with self._lock:
            if is_open := bool(self._when_closed):
                self._when_closed.append(callback)
        if not is_open:
            callback()

    def take(self) -> bytes:
        """Remove the unsent data and return it."""
        with self._lock:
            taken, self._unsent = self._unsent, b""
        return taken

    async def run(self, receive: Receive, send: Send) -> None:
        """Write to the client until the stream ends or the client leaves."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(woken.set)
        gone = loop.create_task(await_end(receive))
        gone.add_done_callback(lambda _: woken.set())
        _open.add(self)
        try:
            while not gone.done():
                woken.clear()
                is_ended = self._is_ended  # before `take`, so that no data comes in between
                if data := self.take():
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                if is_ended:
                    break
                await woken.wait()
        finally:
            _open.discard(self)
            self._wake = lambda: None
            gone.cancel()
            self.close()


def hand_over_stream(environ: dict[str, Any], stream: Stream) -> Iterable[bytes]:
    """Return the body of the response. The event loop continues where it ends.

    Other servers, such as the tests' client, respond with the data so far.
    """
    if (scope := environ.get("asgi.scope")) is not None:
        scope["state"][STREAM_KEY] = stream
        return ()
    data = stream.take()
    stream.close()
    return (data,)


def end_streams() -> None:
    """End all streams because the process stops; their clients connect again."""
    for stream in list(_open):
        stream.end()


async def await_end(receive: Receive) -> None:
    """Return when the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
