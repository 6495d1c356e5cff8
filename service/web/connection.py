"""A connection: the request on its way in, and of the answer what the client has not taken yet."""

import socket
from typing import Any

from gunicorn.workers.gthread import TConn

from service.web.arrival import Arrival
from service.web.stream import Stream

# A body that is read as it comes may pause for this long.
PAUSE_SECONDS = 10.0


class Answer:
    """Stands for the socket while a thread answers: nothing is waited for, what is left is kept.

    gunicorn writes the head of an answer first. It is kept until the body comes or the thread is
    done: sent by itself, it would wake the client for nothing.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.left = bytearray()
        self.stream: Stream | None = None  # what the answer goes on as, without a thread
        self._has_begun = False

    def sendall(self, data: bytes) -> None:
        """Send what can be sent now; the first time, keep it for the next."""
        self.left += data
        if self._has_begun:
            self.send()
        self._has_begun = True

    def send(self) -> None:
        """Send what can be sent now."""
        if self.left:
            del self.left[: send_now(self._sock, self.left)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Connection(TConn):
    """What the loop knows of a connection."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.arrival = Arrival()
        self.answer: Answer | None = None
        self.held = 0  # bytes in memory for it
        self.is_kept = False  # for another request, once the answer is taken
        self.data_ready = True  # no thread waits for the first byte

    def init(self) -> None:
        """In the thread, before the request is parsed: hand the parser what has come."""
        super().init()
        # Of what is whole nothing is waited for. To change it back and forth is a call each time.
        self.sock.settimeout(0.0 if self.arrival.is_whole else PAUSE_SECONDS)
        self.parser.unreader.unread(self.arrival.take())
        self.arrival.data.clear()

    @property
    def left(self) -> bytearray:
        """Of the answer, what is not sent yet."""
        return self.answer.left if self.answer else bytearray()

    @property
    def stream(self) -> Stream | None:
        """What the answer goes on as."""
        return self.answer.stream if self.answer else None


def send_now(sock: socket.socket, data: bytes | bytearray) -> int:
    """Send without waiting; returns how many bytes went.

    Raises:
        OSError: the client is gone.
    """
    timeout = sock.gettimeout()
    if timeout != 0:
        sock.setblocking(False)
    try:
        return sock.send(data)
    except BlockingIOError:
        return 0
    finally:
        if timeout != 0:
            sock.settimeout(timeout)
