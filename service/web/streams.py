"""Streams in the accepting loop: each costs a connection and memory, and no thread."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from service.web.connection import Answer, Connection, send_now
from service.web.stream import UNTAKEN_BYTES, Stream

# A client that vanished without a word is noticed by what it does not acknowledge.
UNACKNOWLEDGED_MILLISECONDS = 30_000
READ_BYTES = 4096


def hand_over(environ: dict[str, Any], stream: Stream) -> Iterable[bytes]:
    """The body to answer with; the loop goes on where it ends. The last thing a resource does.

    A server that is not ours, such as the tests' client, gets what was sent so far, and an end.
    """
    answer = environ.get("gunicorn.socket")
    if not isinstance(answer, Answer):
        return _only_begun(stream)
    answer.stream = stream
    return ()


def _only_begun(stream: Stream) -> Iterator[bytes]:
    try:
        yield stream.take()
    finally:
        stream.close()


class Streams:
    """Those of a process. All of it runs in the loop, but for `_wake`.

    Args:
        defer: has the loop call something, from any thread.
        leave: closes a connection in good order.
    """

    def __init__(
        self,
        poller: selectors.BaseSelector,
        defer: Callable[..., None],
        leave: Callable[[Connection], None],
    ) -> None:
        self._poller = poller
        self._defer = defer
        self._leave = leave
        self._open: dict[Stream, Connection] = {}
        self._woken: set[Stream] = set()
        self._guard = threading.Lock()

    def take(self, conn: Connection, stream: Stream) -> None:
        """Keep a connection whose request has been answered with a stream."""
        self._open[stream] = conn
        try:
            _prepare(conn.sock)
            self._poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_event, stream))
        except (OSError, ValueError):  # the client is gone already
            self._close(stream)
            return
        stream.go_on(bytes(conn.left), partial(self._wake, stream))
        self._write(stream)

    def close_all(self) -> None:
        """The process is stopping: clients come back to another one."""
        for stream in list(self._open):
            self._close(stream)

    def _wake(self, stream: Stream) -> None:
        # One call a round, however many are told something.
        with self._guard:
            is_first = not self._woken
            self._woken.add(stream)
        if is_first:
            self._defer(self._write_woken)

    def _write_woken(self) -> None:
        with self._guard:
            woken, self._woken = self._woken, set()
        for stream in woken:
            self._write(stream)

    def _on_event(self, stream: Stream, sock: socket.socket) -> None:
        """The client takes more, has gone, or says what nobody listens to."""
        if stream not in self._open:  # closed by what came just before in the same round
            return
        try:
            is_gone = not sock.recv(READ_BYTES)
        except BlockingIOError:
            is_gone = False
        except OSError:
            is_gone = True
        if is_gone:
            self._close(stream)
        else:
            self._write(stream)

    def _write(self, stream: Stream) -> None:
        conn = self._open.get(stream)
        if conn is None:
            return
        try:
            is_left = stream.write(partial(send_now, conn.sock))
        except OSError:
            self._close(stream)
            return
        if stream.is_over:
            self._close(stream)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if is_left else 0)
        key = self._poller.get_key(conn.sock)
        if key.events != events:
            self._poller.modify(conn.sock, events, key.data)

    def _close(self, stream: Stream) -> None:
        conn = self._open.pop(stream)
        with contextlib.suppress(OSError, KeyError, ValueError):
            self._poller.unregister(conn.sock)
        stream.close()
        self._leave(conn)


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNTAKEN_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MILLISECONDS)
