"""gunicorn's threaded worker, without its weakness: there a slow client occupies a thread.

Here the loop that accepts connections also reads requests, and a thread gets one when it is whole.
What a client does not take of an answer, the loop sends, too: as behind a buffering proxy.
"""

import contextlib
import logging
import resource
import selectors
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn.http import errors, wsgi
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from config import memory
from config.log import configure_logging
from config.settings import settings
from service.metrics import MALFORMED_REQUESTS, SLOW_CLIENTS
from service.web.arrival import Arrival
from service.web.connection import Answer, Connection, send_now
from service.web.listener import begin_no_more
from service.web.refusals import MALFORMED, REFUSALS, Response, send_problem
from service.web.streams import Streams

# An answer is taken within this time, or not at all.
ANSWER_SECONDS = 20.0
LINGER_SECONDS = 2.0
# For handshakes that were begun when a stop began: far more than a round trip.
LAST_HANDSHAKES_SECONDS = 0.1
FILES_BESIDE = 500
CHUNK_BYTES = 64 * 1024
# Of all requests on their way in and answers on their way out; the oldest go first.
BUFFER_BYTES = 64 * 1024 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
NOTIFY_SECONDS = 1.0  # of the 30 after which gunicorn takes a process for hung
KEPT: Future[bool] = Future()  # what a thread says of a connection that is kept
KEPT.set_result(True)

wsgi.Response = Response


class Worker(ThreadWorker):
    """What gunicorn.conf.py names as worker_class."""

    @classmethod
    def setup(cls) -> None:
        """gunicorn calls this before it starts processes: its own lines go the way of ours."""
        configure_logging("web")
        own = logging.getLogger("gunicorn.error")
        own.handlers.clear()
        own.propagate = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # All in the order of their timeouts.
        self._arriving: OrderedDict[Connection, None] = OrderedDict()
        self._answering: OrderedDict[Connection, None] = OrderedDict()
        self._leaving: deque[Connection] = deque()
        self._buffered = 0
        self._waits_until = float("inf")  # for requests, once it is to stop
        self._notified_at = -float("inf")

    def init_process(self) -> None:
        # As many connections as there are files for them: to run out of files ends the process.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self.cfg.worker_connections + FILES_BESIDE
        if soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.worker_connections = min(self.cfg.worker_connections, soft - FILES_BESIDE)
        super().init_process()

    def run(self) -> None:
        memory.spare_collector()
        self._streams = Streams(self.poller, self.method_queue.defer, self._leave)
        super().run()

    def notify(self) -> None:
        """Say that the loop goes on; it goes round several times a request."""
        at = time.monotonic()
        if at - self._notified_at >= NOTIFY_SECONDS:
            self._notified_at = at
            super().notify()

    def set_accept_enabled(self, enabled: bool) -> None:
        if self.alive or enabled:
            super().set_accept_enabled(enabled)
        elif self._waits_until == float("inf"):
            self._stop_listening()

    def _stop_listening(self) -> None:
        """Take in whoever is connected already, and refuse others from now on.

        gunicorn would leave them waiting until all is done, and then cut them off, with the
        requests that they have sent.
        """
        self._waits_until = time.monotonic() + STOP_KEEPALIVE_LINGER
        super().set_accept_enabled(True)
        for listener in self.sockets:
            begin_no_more(listener)
        until = time.monotonic() + LAST_HANDSHAKES_SECONDS
        while (left := until - time.monotonic()) > 0:
            self.wait_for_and_dispatch_events(left)
        super().set_accept_enabled(False)
        for listener in self.sockets:
            with contextlib.suppress(OSError):  # no more files: the others are cut off
                while self._take_in(listener):
                    pass
            listener.close()

    def accept(self, listener: socket.socket) -> None:
        self._take_in(listener)

    def _take_in(self, listener: socket.socket) -> bool:
        """Accept a connection, if there is one."""
        try:
            sock, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        self.nr_conns += 1
        self._await(Connection(self.cfg, sock, address, listener.getsockname()))
        return True

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """The next request on a connection that was kept."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await(conn)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """In a thread: answer, without waiting for the client to take it."""
        sock, conn.answer = conn.sock, Answer(conn.sock)
        conn.sock = conn.answer
        try:
            is_kept = super().handle_request(req, conn)
            conn.answer.send()
            return is_kept
        except BaseException:
            conn.answer.left.clear()  # the connection is closed, perhaps is already
            raise
        finally:
            conn.sock = sock

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """A thread has answered."""
        self._release(conn)
        if conn.stream is not None:
            self._streams.take(conn, conn.stream)
            return
        conn.is_kept = not fs.cancelled() and fs.exception() is None and fs.result() is True
        if not conn.left:
            self._go_on(conn)
            return
        conn.held = len(conn.left)
        self._buffered += conn.held
        conn.timeout = time.monotonic() + ANSWER_SECONDS
        conn.sock.setblocking(False)
        self._answering[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_WRITE, partial(self._send_on, conn))
        self._make_room()

    def _send_on(self, conn: Connection, sock: socket.socket) -> None:
        try:
            del conn.left[: send_now(sock, conn.left)]
        except OSError:
            conn.left.clear()
            conn.is_kept = False
        if not conn.left:
            self._forget(conn)
            self._release(conn)
            self._go_on(conn)

    def _go_on(self, conn: Connection) -> None:
        """Keep the connection for another request, or close it."""
        conn.answer = None
        if not conn.is_kept:
            self._leave(conn)
        elif ahead := conn.parser.unreader.take_buffered():
            self._await(conn, ahead)
        else:
            super().finish_request(conn, KEPT)

    def murder_pending(self) -> None:
        """Close what took too long."""
        at = time.monotonic()
        while self._arriving and (first := next(iter(self._arriving))).timeout <= at:
            self._give_up(first, 408, "The request did not come in time.")
        while self._answering and (first := next(iter(self._answering))).timeout <= at:
            SLOW_CLIENTS.inc()
            self._forget(first)
            self._leave(first)
        if not self.alive:
            self._streams.close_all()
        if self._waits_until <= at:  # who has not begun a request will not be answered
            for conn in [conn for conn in self._arriving if not conn.arrival.data]:
                self._give_up(conn, 503, "The service is being restarted.")
        while self._leaving and self._leaving[0].timeout <= at:
            self._close(self._leaving.popleft())

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer what is no request with a problem document; say nothing of what it held."""
        if isinstance(exc, errors.ParseException):
            status, detail = REFUSALS.get(type(exc), MALFORMED)
            MALFORMED_REQUESTS.inc()  # a line in the log for each would be an attack of its own
        else:
            status, detail = 500, "This is our mistake."
            self.log.error("a request failed", exc_info=exc)
        send_problem(client, status, detail)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        # The rest of a body that nobody wanted is not waited for.
        return conn.arrival.is_whole and super()._keepalive_after(conn, keepalive)

    def _await(self, conn: Connection, ahead: bytes = b"") -> None:
        """Read a request; mostly it is there already, and whole."""
        conn.arrival = Arrival()
        if conn.sock.gettimeout() != 0:
            conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + settings().request_seconds
        if next_step := self._read(conn, ahead):
            next_step(conn)
            return
        self._arriving[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._read_on, conn))
        self._make_room()

    def _read_on(self, conn: Connection, sock: socket.socket) -> None:
        if next_step := self._read(conn):
            self._forget(conn)
            next_step(conn)
        self._make_room()

    def _read(self, conn: Connection, data: bytes = b"") -> Callable[[Connection], None] | None:
        """Take what came. Returns what to do with the connection, or None if more is to come."""
        try:
            data = data or conn.sock.recv(CHUNK_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        arrival, had_leave = conn.arrival, conn.arrival.wants_leave
        if not data:  # one that is cut short is handed over; the parser says so
            return self.enqueue_req if arrival.data else self._close
        conn.held += len(data)
        self._buffered += len(data)
        arrival.feed(data)
        if arrival.is_ready:
            return self.enqueue_req
        if arrival.wants_leave and not had_leave:
            with contextlib.suppress(OSError):
                conn.sock.send(CONTINUE)
        return None

    def _make_room(self) -> None:
        while self._buffered > BUFFER_BYTES and self._answering:
            first = next(iter(self._answering))
            self._forget(first)
            self._leave(first)
        while self._buffered > BUFFER_BYTES and self._arriving:
            self._give_up(next(iter(self._arriving)), 503, "Too much is on its way.")

    def _give_up(self, conn: Connection, status: int, detail: str) -> None:
        self._forget(conn)
        if conn.arrival.data:
            SLOW_CLIENTS.inc()
            send_problem(conn.sock, status, detail)
        self._leave(conn)

    def _forget(self, conn: Connection) -> None:
        self.poller.unregister(conn.sock)
        self._arriving.pop(conn, None)
        self._answering.pop(conn, None)

    def _release(self, conn: Connection) -> None:
        self._buffered -= conn.held
        conn.held = 0

    def _leave(self, conn: Connection) -> None:
        """Close without cutting off the last answer (RFC 9112, 9.6), and without waiting here."""
        self._release(conn)
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))
        except (OSError, ValueError, KeyError):
            self._close(conn)
            return
        conn.timeout = time.monotonic() + LINGER_SECONDS
        self._leaving.append(conn)

    def _drain(self, conn: Connection, sock: socket.socket) -> None:
        try:
            gone = not sock.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            gone = True
        if gone:
            self._leaving.remove(conn)
            self._close(conn)

    def _close(self, conn: Connection) -> None:
        with contextlib.suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()
