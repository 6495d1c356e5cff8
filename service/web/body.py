"""Bodies: read whole before a thread is used, or piece by piece for an import.

Each read has a deadline, and so has the whole body. Memory for all bodies of a process is bounded.
"""

import asyncio
from collections import OrderedDict
from typing import Any

import falcon

from config.settings import settings
from service.metrics import SLOW_CLIENTS

# The largest body that is read whole: a webhook of two megabytes.
BODY_LIMIT = 2 * 1024 * 1024
# Of all requests that arrive or wait for a thread, in a process; the oldest to arrive go first.
BUFFER_BYTES = 64 * 1024 * 1024
# An import may pause for this long, and must bring this much a second on average.
PAUSE_SECONDS = 10.0
SLOWEST_BYTES_A_SECOND = 8 * 1024
LONGEST_SECONDS = 3600.0  # of waiting for one import's bytes
# Pieces smaller than this are gathered, because each read of a thread costs a hundred microseconds.
SMALL_BYTES = 16 * 1024
GATHER_SECONDS = 0.02
PATIENT_PIECES = 20
# Of a rejected body, this much is read, so that the client can read the answer.
DRAIN_BYTES = 8 * 1024 * 1024
DRAIN_SECONDS = 2.0


class Gone(Exception):
    """The client left before its request was whole."""


def late() -> falcon.HTTPError:
    """408: the body did not come in time."""
    SLOW_CLIENTS.inc()
    return falcon.HTTPError("408 Request Timeout", description="The body did not come in time.")


class Body:
    """A body on its way, as ASGI messages.

    is_whole: all of it was received.
    """

    def __init__(self, receive: Any, length: int | None, *, is_empty: bool = False) -> None:
        self._receive = receive
        self.length = length
        self.is_whole = is_empty
        self.size = 0  # bytes received
        self._pieces = 0

    async def next(self) -> bytes:
        """Return the next piece.

        Raises:
            Gone: the client left.
        """
        if self.is_whole:
            return b""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Gone
        data: bytes = message.get("body", b"")
        self.size += len(data)
        self.is_whole = not message.get("more_body", False)
        self._pieces += 1
        if not self.is_whole and len(data) < SMALL_BYTES and self._pieces > PATIENT_PIECES:
            await asyncio.sleep(GATHER_SECONDS)
        return data

    async def drain(self) -> None:
        """Read on for a while, and forget what comes."""
        until = self.size + DRAIN_BYTES
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self.is_whole and self.size < until:
                    await self.next()
        except (TimeoutError, Gone):
            return


class Bodies:
    """The bodies that a process holds in memory."""

    def __init__(self) -> None:
        self._arriving: OrderedDict[Body, asyncio.Timeout] = OrderedDict()
        self._held = 0

    async def read(self, body: Body) -> bytes | falcon.HTTPError:
        """Return the whole body, or why it is rejected. Call `release` with its length.

        Raises:
            Gone: the client left.
        """
        if body.is_whole:
            return b""
        if body.length is not None and body.length > BODY_LIMIT:
            return _too_large()
        data, kept = bytearray(), False
        try:
            async with asyncio.timeout(settings().request_seconds) as timeout:
                self._arriving[body] = timeout
                while not body.is_whole:
                    piece = await body.next()
                    data += piece
                    self._held += len(piece)
                    if len(data) > BODY_LIMIT:
                        return _too_large()
                    self._make_room()
            kept = True
            return bytes(data)
        except TimeoutError:
            return late() if body in self._arriving else _no_room()
        finally:
            self._arriving.pop(body, None)
            if not kept:
                self._held -= len(data)

    def release(self, size: int) -> None:
        """Forget a body that was read whole."""
        self._held -= size

    def _make_room(self) -> None:
        if self._held > BUFFER_BYTES and self._arriving:
            _, timeout = self._arriving.popitem(last=False)
            timeout.reschedule(0)  # its deadline has passed: 503


class Pieces:
    """An import's body, as a thread reads it: the thread waits, and the deadlines hold."""

    def __init__(self, body: Body, loop: asyncio.AbstractEventLoop) -> None:
        self._body = body
        self._loop = loop
        self._buffer = bytearray()
        self._waited = 0.0

    def readline(self, limit: int) -> bytes:
        """Return a line, or its first `limit` bytes; nothing at the end.

        Raises:
            falcon.HTTPError: the body came too slowly.
            OSError: the client left.
        """
        searched = 0
        while (found := self._buffer.find(b"\n", searched, limit)) < 0:
            searched = len(self._buffer)
            if searched >= limit or not self._fetch():
                break
        size = min(found + 1 if found >= 0 else len(self._buffer), limit)
        line = bytes(self._buffer[:size])
        del self._buffer[:size]
        return line

    def read(self, size: int = -1) -> bytes:
        """Return this many bytes, or all that is left."""
        while (size < 0 or len(self._buffer) < size) and self._fetch():
            pass
        size = len(self._buffer) if size < 0 else size
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _fetch(self) -> bool:
        if self._body.is_whole:
            return False
        self._buffer += asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        return True

    async def _next(self) -> bytes:
        earned = settings().request_seconds + self._body.size / SLOWEST_BYTES_A_SECOND
        left = min(earned, LONGEST_SECONDS) - self._waited
        began = self._loop.time()
        try:
            async with asyncio.timeout(min(left, PAUSE_SECONDS)):
                return await self._body.next()
        except TimeoutError:
            raise late() from None
        except Gone:
            raise OSError("the client left") from None
        finally:
            self._waited += self._loop.time() - began


def _too_large() -> falcon.HTTPError:
    return falcon.HTTPContentTooLarge(description=f"A body is {BODY_LIMIT} bytes at most.")


def _no_room() -> falcon.HTTPError:
    SLOW_CLIENTS.inc()
    return falcon.HTTPServiceUnavailable(
        description="Too many requests are on their way; try again later.", retry_after=5
    )
