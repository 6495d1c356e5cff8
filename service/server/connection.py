"""A client's connection: uvicorn's protocol, with limits that uvicorn leaves to a proxy.

uvicorn bounds neither the size of a request's head nor the time to send it, nor the time to read a
response. Source: https://github.com/Kludex/uvicorn/issues/157
"""

import asyncio
import socket
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from config.settings import get_settings
from service.metrics.process import MALFORMED_REQUESTS, SLOW_CLIENTS

MAX_FRAMING_BYTES = 64 * 1024  # maximum size of a head, of trailers or of chunk extensions
MAX_CONNECTIONS = 4000  # maximum number per process
MAX_PIPELINED_REQUESTS = 200  # maximum number of waiting requests per connection
ANSWER_READ_SECONDS = 20.0  # maximum time for a client to read a response
MAX_UNREAD_ANSWER_BYTES = 64 * 1024 * 1024  # maximum size of unread responses per process
HAS_ARRIVED_KEY = "matchback.has_arrived"  # in a request's state, after its whole body arrived
# A client that takes nothing of a download for this long is closed. A slow client is not.
MAX_DOWNLOAD_PAUSE_SECONDS = 120.0
CONNECTION_KEY = "matchback.connection"  # in a request's state
MALFORMED_MESSAGE = "Invalid HTTP request received."


class ClientConnection(HttpToolsProtocol):
    """The protocol that uvicorn creates for each client. It runs in the event loop."""

    _unread: dict["ClientConnection", asyncio.TimerHandle] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._framing_bytes = 0
        self._is_malformed = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_download = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_head_timer()
        if len(self.connections) > MAX_CONNECTIONS or self.client is None:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._forget_unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_malformed:
            return
        self._unset_keepalive_if_required()
        self._framing_bytes += len(data)  # reset by a complete head or a piece of a body
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # Ignore upgrades (RFC 9110, 7.8). The parser would take a body for the next request.
            again = self._head_without_upgrade() + data[upgrade.args[0] :]
            self.parser = httptools.HttpRequestParser(self)
            self.data_received(again)
        except httptools.HttpParserError:
            self.send_400_response(MALFORMED_MESSAGE)
        else:
            if self._framing_bytes > MAX_FRAMING_BYTES:
                self.send_400_response(MALFORMED_MESSAGE)
            elif self._framing_bytes and not self._is_in_body:
                self._start_head_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_in_body:  # otherwise the field is a trailer, not part of the head
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._framing_bytes = 0
        self._stop_head_timer()
        if len(self.pipeline) >= MAX_PIPELINED_REQUESTS or self.parser.get_method() == b"CONNECT":
            raise ValueError("CONNECT, or too many waiting requests")
        if not self.parser.should_upgrade():
            self.scope["state"][CONNECTION_KEY] = self
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            self.scope["state"][HAS_ARRIVED_KEY] = True
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Send one 400 response, after the responses to earlier requests."""
        MALFORMED_REQUESTS.inc()
        self._is_malformed = True
        is_waiting = self.cycle is not None and not self.cycle.response_complete
        if self._is_in_body:
            if self.cycle.response_started:
                self.transport.close()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            is_waiting = bool(self.pipeline)
            if is_waiting:  # the malformed request is the last one
                self.pipeline.popleft()
        if not is_waiting:
            super().send_400_response(msg)

    def on_response_complete(self) -> None:
        is_last = not self.pipeline
        super().on_response_complete()
        if self._is_malformed and is_last and not self.transport.is_closing():
            super().send_400_response(MALFORMED_MESSAGE)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()
        if (
            sum(one.transport.get_write_buffer_size() for one in self._unread)
            > MAX_UNREAD_ANSWER_BYTES
        ):
            next(iter(self._unread))._drop()  # the client that has been slow the longest

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_unread()

    def begin_download(self) -> None:
        """Let the client read slowly, as long as it reads. The response closes the connection."""
        self._is_download = True
        own = self.transport.get_extra_info("socket")
        if own is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            # Linux also counts the time in which the client's window is closed.
            milliseconds = int(MAX_DOWNLOAD_PAUSE_SECONDS * 1000)
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

    def cut(self) -> None:
        """Reset the connection, so that the client cannot take the response for complete."""
        if self.cycle is not None:
            self.cycle.disconnected = True  # uvicorn logs an incomplete response as an error
        self.transport.abort()

    @property
    def _is_in_body(self) -> bool:
        return self.cycle is not None and self.cycle.more_body

    def _head_without_upgrade(self) -> bytes:
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(get_settings().request_seconds, self._give_up)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None  # the next byte of the head restarts it
        if self.cycle is None or self.cycle.response_complete:
            SLOW_CLIENTS.inc()
            self.transport.close()

    def _forget_unread(self) -> None:
        if (timer := self._unread.pop(self, None)) is not None:
            timer.cancel()

    def _await_reader(self) -> None:
        unread = self.transport.get_write_buffer_size()
        seconds = MAX_DOWNLOAD_PAUSE_SECONDS if self._is_download else ANSWER_READ_SECONDS
        self._unread[self] = self.loop.call_later(seconds, self._judge_reader, unread)

    def _judge_reader(self, unread_before: int) -> None:
        if self._is_download and self.transport.get_write_buffer_size() < unread_before:
            self._await_reader()
        else:
            self._drop()

    def _drop(self) -> None:
        SLOW_CLIENTS.inc()
        self._forget_unread()
        self.transport.abort()
