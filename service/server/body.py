"""Request bodies, which the event loop reads completely before it uses a thread.

Each body has a size bound and a deadline. All bodies of a process share a memory bound.
"""

import asyncio
from collections import OrderedDict

import falcon

from config.settings import get_settings
from service.metrics.process import SLOW_CLIENTS
from service.server.asgi import Receive

MAX_BODY_BYTES = 2 * 1024 * 1024  # except for webhooks of providers with larger batches
# Memory for bodies that arrive or wait for a thread, per process. Beyond it, drop the oldest body.
MAX_BUFFERED_BYTES = 64 * 1024 * 1024
# A client reads the response to a rejected body only after it has sent this much.
MAX_DRAIN_BYTES = 8 * 1024 * 1024
DRAIN_TIMEOUT_SECONDS = 2.0


class ClientGone(Exception):
    """The client left before it had sent the whole request."""


def make_timeout_error() -> falcon.HTTPError:
    """Return a 408 error for a body that did not arrive in time."""
    SLOW_CLIENTS.inc()
    return falcon.HTTPError(
        "408 Request Timeout",
        description="The request body did not arrive in time. Send it faster.",
    )


class Body:
    """A request's body, as the event loop receives it.

    length: bytes; None if chunked.
    limit: maximum number of bytes of a body that is read at once.
    has_arrived: True if the connection has all of it, so that reading does not wait.
    size: bytes received.
    is_whole: True if the event loop has received all of it.
    """

    def __init__(
        self,
        receive: Receive,
        length: int | None,
        limit: int = MAX_BODY_BYTES,
        *,
        has_arrived: bool = False,
    ) -> None:
        self._receive = receive
        self.has_arrived = has_arrived
        self.length = length
        self.limit = limit
        self.is_whole = length == 0
        self.size = 0

    async def next(self) -> bytes:
        """Return the next piece, or nothing at the end.

        Raises:
            Gone: the client left.
        """
        if self.is_whole:
            return b""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        data: bytes = message["body"]
        self.size += len(data)
        self.is_whole = not message["more_body"]
        return data

    async def drain(self) -> None:
        """Read and drop the rest, within bounds."""
        until = self.size + MAX_DRAIN_BYTES
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_SECONDS):
                while not self.is_whole and self.size < until:
                    await self.next()
        except (TimeoutError, ClientGone):
            return


class Bodies:
    """The bodies that a process holds in memory."""

    def __init__(self) -> None:
        self._arriving: OrderedDict[Body, asyncio.Timeout] = OrderedDict()
        self._held = 0

    async def read(self, body: Body) -> bytes:
        """Return the whole body. Call `release` with its length afterwards.

        Raises:
            falcon.HTTPError: the body is too large or too late, or memory is short.
            Gone: the client left.
        """
        if body.has_arrived:  # with its head, so the connection's buffer bounds its size
            whole = await body.next()
            self._held += len(whole)
            self._make_room()
            return whole
        data = bytearray()
        try:
            async with asyncio.timeout(get_settings().request_seconds) as timeout:
                self._arriving[body] = timeout
                while not body.is_whole:
                    if max(body.length or 0, body.size) > body.limit:
                        reason = f"Request body too large. Send at most {body.limit} bytes."
                        raise falcon.HTTPContentTooLarge(description=reason)
                    piece = await body.next()
                    data += piece
                    self._held += len(piece)
                    self._make_room()
            return bytes(data)
        except BaseException as error:
            self.release(len(data))
            if isinstance(error, TimeoutError):
                raise (make_timeout_error() if body in self._arriving else _no_room()) from None
            raise
        finally:
            self._arriving.pop(body, None)

    def release(self, size: int) -> None:
        """Release the memory of a body of this size."""
        self._held -= size

    def _make_room(self) -> None:
        if self._held > MAX_BUFFERED_BYTES and self._arriving:
            _, timeout = self._arriving.popitem(last=False)
            timeout.reschedule(0)  # time out now, which returns 503


def _no_room() -> falcon.HTTPError:
    SLOW_CLIENTS.inc()
    return falcon.HTTPServiceUnavailable(
        description="The server is busy. Retry later.", retry_after=5
    )
