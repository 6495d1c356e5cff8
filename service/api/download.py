"""Downloads: responses of any length, which a thread makes piece by piece.

The web server asks for the next piece when the client has read the last one. So memory is bounded,
and a slow client holds no thread. See service/server/downloads.py.
"""

import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

DOWNLOAD_KEY = "matchback.download"  # in a request's state


class Download:
    """The pieces of one response. Any thread can ask for the next one.

    Pieces are made in the context of the code that created the download, which includes the
    organization that it may read.

    Args:
        pieces: a generator. An empty piece lets other downloads use the thread.
        when_closed: called once, at the end or when the client leaves.
    """

    def __init__(
        self, pieces: Iterator[bytes], when_closed: Callable[[], None] = lambda: None
    ) -> None:
        self._pieces = pieces
        self._when_closed = when_closed
        self._context = contextvars.copy_context()
        self._first: bytes | None = None
        self._is_closed = False
        self._lock = threading.RLock()

    def begin(self) -> None:
        """Make the first piece, so that its errors can still become an error response."""
        try:
            self._first = next(self)
        except StopIteration:
            self._first = b""
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._lock:
            if self._first is not None:
                first, self._first = self._first, None
                return first
            if self._is_closed:
                raise StopIteration
            return self._context.run(next, self._pieces)

    def take(self) -> bytes | None:
        """Return the next piece, or None at the end."""
        return next(self, None)

    def close(self) -> None:
        """Release what the pieces need. Wait for a piece that another thread is making."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed, self._first = True, None
            try:
                close = getattr(self._pieces, "close", lambda: None)
                self._context.run(close)
            finally:
                self._when_closed()


def hand_over_download(environ: dict[str, Any], download: Download) -> Iterable[bytes]:
    """Return the body of the response. The event loop asks for the pieces.

    Other servers, such as the tests' client, iterate over the pieces in the request's thread.
    """
    if (scope := environ.get("asgi.scope")) is not None:
        scope["state"][DOWNLOAD_KEY] = download
        return ()
    return download
