"""A stream: an answer without an end, such as the dashboard's server-sent events.

A resource makes a stream and hands it over; its thread is then free. Any thread may send to the
stream. The event loop writes to the client what was sent.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from service.web.connection import IS_STREAM

# In a process; each costs a connection and some memory.
STREAMS_LIMIT = 1000
# The service drops a client that leaves more than this unread.
UNTAKEN_BYTES = 64 * 1024
STREAM = "matchback.stream"  # in a request's state

_places = threading.BoundedSemaphore(STREAMS_LIMIT)
_open: set["Stream"] = set()


class TooManyStreams(Exception):
    """This process has as many as it may."""


class Stream:
    """One client that hears what happens. Whoever makes a stream closes it or hands it over.

    Raises:
        TooManyStreams: when it is made.
    """

    def __init__(self) -> None:
        if not _places.acquire(blocking=False):
            raise TooManyStreams
        self._guard = threading.Lock()
        self._unsent = bytearray()
        self._is_ended = self._is_closed = False
        self._wake: Callable[[], None] | None = None
        self._when_closed: Callable[[], None] | None = None

    def send(self, data: bytes) -> None:
        """Send data without waiting; after the end, or with too much unread, drop it."""
        with self._guard:
            if self._is_ended:
                return
            self._unsent += data
            is_overfull = len(self._unsent) > UNTAKEN_BYTES
        if is_overfull:
            self.close()
        self._wake_loop()

    def end(self) -> None:
        """Close the stream once the client has what was sent."""
        with self._guard:
            self._is_ended = True
        self._wake_loop()

    def close(self) -> None:
        """Drop what was not sent, and free the place; a second call does nothing."""
        with self._guard:
            was_closed, self._is_closed, self._is_ended = self._is_closed, True, True
            self._unsent.clear()
            when_closed = self._when_closed
        if was_closed:
            return
        _places.release()
        if when_closed is not None:
            when_closed()

    def when_closed(self, act: Callable[[], None]) -> None:
        """Call this when the stream closes. It must not wait for anything."""
        self._when_closed = act

    def take(self) -> bytes:
        """Return what was not sent yet, and forget it."""
        with self._guard:
            taken = bytes(self._unsent)
            self._unsent.clear()
        return taken

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self._is_ended and not self._unsent

    async def run(self, receive: Any, send: Any) -> None:
        """Write to the client until the stream ends or the client goes."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: _call(loop, woken.set)
        gone = loop.create_task(_await_end(receive))
        gone.add_done_callback(lambda _: woken.set())
        _open.add(self)
        try:
            while not gone.done():
                if data := self.take():
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                if self.is_over:
                    break
                await woken.wait()
                woken.clear()
        finally:
            _open.discard(self)
            self._wake = None
            gone.cancel()
            self.close()

    def _wake_loop(self) -> None:
        if (wake := self._wake) is not None:
            wake()


def hand_over(environ: dict[str, Any], stream: Stream) -> Iterable[bytes]:
    """Return the body to answer with; the event loop goes on where it ends.

    A server that is not ours, such as the tests' client, gets what was sent so far, and an end.
    """
    scope = environ.get("asgi.scope")
    if scope is None:
        return _only_begun(stream)
    scope["state"][STREAM] = stream
    scope["state"][IS_STREAM] = True
    return ()


def end_all() -> None:
    """End all streams because the process stops: their clients come back to another process."""
    for stream in list(_open):
        stream.end()


def _only_begun(stream: Stream) -> Iterator[bytes]:
    try:
        yield stream.take()
    finally:
        stream.close()


async def _await_end(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _call(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(act)
    except RuntimeError:  # the loop has closed: the process ends
        return
