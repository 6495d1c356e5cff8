"""A stream: an answer without an end, as whoever has something to say sees it.

A resource makes one and hands it over (streams.py); its thread is then free. What is sent here, by
any thread, waits in memory until the accepting loop has written it.
"""

import threading
from collections.abc import Callable

# In a process; each costs a connection and some memory.
STREAMS_LIMIT = 1000
# A client that leaves more than this untaken is let go.
UNTAKEN_BYTES = 64 * 1024

_places = threading.BoundedSemaphore(STREAMS_LIMIT)


class TooManyStreams(Exception):
    """This process has as many as it may."""


class Stream:
    """One client that is told what happens. Whoever makes one closes it or hands it over.

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
        """Say something. Never waits; when the stream is over, or overfull, it comes to nothing."""
        with self._guard:
            if self._is_ended:
                return
            self._unsent += data
            if len(self._unsent) > UNTAKEN_BYTES:
                self._unsent.clear()
                self._is_ended = True
        self._told()

    def end(self) -> None:
        """Close it once the client has what was sent."""
        with self._guard:
            self._is_ended = True
        self._told()

    def close(self) -> None:
        """It is over, whatever was not sent; a second time is no harm."""
        with self._guard:
            was_closed, self._is_closed, self._is_ended = self._is_closed, True, True
            self._unsent.clear()
            self._wake, when_closed = None, self._when_closed
        if was_closed:
            return
        _places.release()
        if when_closed is not None:
            when_closed()

    def when_closed(self, act: Callable[[], None]) -> None:
        """Have this done as it closes, in the loop: it must not wait for anything."""
        self._when_closed = act

    def go_on(self, begun: bytes, wake: Callable[[], None]) -> None:
        """The loop has it now: `begun` goes first, and `wake` is called when there is more."""
        with self._guard:
            self._unsent[:0] = begun
            self._wake = wake

    def write(self, send: Callable[[bytearray], int]) -> bool:
        """Give `send` what is unsent; it says how much went. Returns whether some is left."""
        with self._guard:
            if self._unsent:
                del self._unsent[: send(self._unsent)]
            return bool(self._unsent)

    def take(self) -> bytes:
        """What is unsent, for a server that keeps no streams."""
        with self._guard:
            taken = bytes(self._unsent)
            self._unsent.clear()
        return taken

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self._is_ended and not self._unsent

    def _told(self) -> None:
        if (wake := self._wake) is not None:
            wake()
