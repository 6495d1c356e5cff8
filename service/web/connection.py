"""One client's connection: uvicorn's protocol, with the limits that uvicorn leaves to a proxy.

uvicorn has no deadline for a request's head, no bound on its size, and none for a client that
does not read its answer (https://github.com/Kludex/uvicorn/issues/157). It answers a malformed
body a second time, and drops a client that half-closes. This class adds these six things only.
"""

import asyncio
from collections import OrderedDict
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from config.settings import settings
from service.metrics import MALFORMED_REQUESTS, SLOW_CLIENTS
from service.web.refusals import refusal

HEAD_BYTES = 64 * 1024
CONNECTIONS = 4000  # in a process; a slow client costs memory and no thread
PIPELINED = 200  # requests that wait on one connection for the answer to an earlier one
ANSWER_SECONDS = 20.0  # for a client to read an answer
EARLY_ANSWER_SECONDS = 0.3  # for the application to answer a body that ended too early
LINGER_SECONDS = 2.0  # for a client to read why its request was rejected
UNREAD_BYTES = 64 * 1024 * 1024  # of all answers that clients do not read; the oldest go first
IS_STREAM = "matchback.is_stream"  # in a request's state: its answer has no end

MALFORMED = "The request is not well-formed HTTP."
SHORT = "The request ended too early."
LATE = "The request did not come in time."
LONG = "The header fields are too large, or too many."


class Connection(HttpToolsProtocol):
    """What uvicorn makes for each client. All of it runs in the event loop."""

    is_stopping = False  # the process ends: an answer closes its connection
    _unread: OrderedDict["Connection", None] = OrderedDict()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heads = self._head_bytes = 0
        self._in_head = self._in_body = self._is_half_closed = False
        self._unanswered = 0
        self._refusal: tuple[int, str] | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm_head_timer()
        if len(self.connections) > CONNECTIONS or self.client is None:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm_head_timer()
        self._note_unread(is_unread=False)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._unset_keepalive_if_required()
        was_in_body, heads = self._in_body, self._heads
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # A server may ignore an upgrade (RFC 9110, 7.8). The parser cannot: it stops there.
            again = self._head_without_upgrade() + data[upgrade.args[0] :]
            self.parser = httptools.HttpRequestParser(self)
            self.data_received(again)
            return
        except httptools.HttpParserError:
            MALFORMED_REQUESTS.inc()  # a line in the log for each would be an attack of its own
            self._refuse(400, MALFORMED)
            return
        if self._in_head or not (was_in_body or self._in_body or self._heads > heads):
            self._note_head(len(data) if self._heads == heads else 0)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:  # else a trailer, which must not change what the head said
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= PIPELINED or self.parser.get_method() == b"CONNECT":
            raise ValueError("this is no proxy, and its patience is bounded")
        if self.parser.should_upgrade():
            return
        self._disarm_head_timer()
        self._heads += 1
        self._in_head, self._head_bytes, self._in_body = False, 0, True
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False
        self._unanswered += 1
        super().on_headers_complete()
        if self.is_stopping:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._unanswered -= 1
        super().on_response_complete()
        if self._unanswered or self.transport.is_closing():
            return
        if self._refusal is not None:
            self._send_refusal()
        elif self._is_half_closed:
            self.transport.close()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Answer a client that has closed its side only; return whether it may still be."""
        if self._refusal is not None:
            return None
        if self._in_body or self._in_head:
            # The application may answer without the body, with 401 or 413.
            self.loop.call_later(EARLY_ANSWER_SECONDS, self._refuse_short)
            return True
        if self._unanswered and not self.cycle.scope["state"].get(IS_STREAM):
            self._is_half_closed = True
            return True
        return None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._note_unread(is_unread=True)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._note_unread(is_unread=False)

    def keep_no_longer(self) -> None:
        """Say `Connection: close` with the answer that is on its way."""
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        self._disarm_head_timer()
        super().shutdown()

    def _refuse(self, status: int, detail: str) -> None:
        """Read no more, and answer once: after earlier requests, in place of the one at hand."""
        self._refusal = status, detail
        self._disarm_head_timer()
        if self._in_body:
            if self.cycle.response_started:
                self.transport.close()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.pipeline and self.pipeline[0][0] is self.cycle:
                self.pipeline.popleft()
            self._unanswered -= 1
        if not self._unanswered:
            self._send_refusal()

    def _refuse_short(self) -> None:
        if self._refusal is None and not self.transport.is_closing():
            self._refuse(400, SHORT)

    def _send_refusal(self) -> None:
        """Close without cutting off the answer (RFC 9112, 9.6)."""
        assert self._refusal is not None
        self.transport.write(refusal(*self._refusal))
        self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _head_without_upgrade(self) -> bytes:
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _note_head(self, size: int) -> None:
        """A head, or something before one, is on its way."""
        self._arm_head_timer()
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            self._refuse(431, LONG)

    def _arm_head_timer(self) -> None:
        if self._head_timer is None:
            seconds = settings().request_seconds
            self._head_timer = self.loop.call_later(seconds, self._give_up)

    def _disarm_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self._in_head:
            SLOW_CLIENTS.inc()
            self._refuse(408, LATE)
        elif not self._unanswered:
            self.transport.close()

    def _note_unread(self, *, is_unread: bool) -> None:
        """Bound how long and how much clients leave of their answers."""
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None
        self._unread.pop(self, None)
        if not is_unread:
            return
        self._unread[self] = None
        self._answer_timer = self.loop.call_later(ANSWER_SECONDS, self._drop)
        held = sum(one.transport.get_write_buffer_size() for one in self._unread)
        while held > UNREAD_BYTES and self._unread:
            first = next(iter(self._unread))
            held -= first.transport.get_write_buffer_size()
            first._drop()

    def _drop(self) -> None:
        SLOW_CLIENTS.inc()
        self._unread.pop(self, None)
        self.transport.abort()
