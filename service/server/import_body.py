"""The body of an import: a file that a thread reads while the client sends it."""

import asyncio
import io
from typing import TYPE_CHECKING

from config.settings import get_settings
from service.server.body import Body, ClientGone, make_timeout_error

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Limits of an import: its longest pause, and its lowest average speed.
MAX_IMPORT_PAUSE_SECONDS = 10.0
MIN_IMPORT_BYTES_A_SECOND = 8 * 1024
MAX_IMPORT_WAIT_SECONDS = 3600.0  # maximum total wait of a thread for one import
IMPORT_BUFFER_BYTES = 64 * 1024


def open_import(body: Body, loop: asyncio.AbstractEventLoop) -> io.BufferedReader:
    """Return the body as a file.

    Raises:
        falcon.HTTPError: while reading, if the body arrives too slowly.
        OSError: while reading, if the client leaves.
    """
    return io.BufferedReader(_Pieces(body, loop), IMPORT_BUFFER_BYTES)


class _Pieces(io.RawIOBase):
    def __init__(self, body: Body, loop: asyncio.AbstractEventLoop) -> None:
        self._body = body
        self._loop = loop
        self._piece = b""
        self._waited = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        while not self._piece and not self._body.is_whole:
            self._piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        target = memoryview(buffer)
        size = min(len(target), len(self._piece))
        target[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        return size

    async def _next(self) -> bytes:
        earned = get_settings().request_seconds + self._body.size / MIN_IMPORT_BYTES_A_SECOND
        left = min(earned, MAX_IMPORT_WAIT_SECONDS) - self._waited
        began = self._loop.time()
        try:
            async with asyncio.timeout(min(left, MAX_IMPORT_PAUSE_SECONDS)):
                return await self._body.next()
        except TimeoutError:
            raise make_timeout_error() from None
        except ClientGone:
            raise OSError("the client left") from None
        finally:
            self._waited += self._loop.time() - began
