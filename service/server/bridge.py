"""The ASGI application, which passes complete requests to the threads of the WSGI application."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

import falcon
from a2wsgi import WSGIMiddleware

from service.api.download import DOWNLOAD_KEY, Download
from service.api.import_shares import MAX_IMPORT_THREADS
from service.middleware.request import REJECTION_KEY
from service.server import head
from service.server.asgi import Message, Receive, Scope, Send
from service.server.body import Bodies, Body, ClientGone
from service.server.connection import CONNECTION_KEY, ClientConnection
from service.server.downloads import send_download
from service.server.import_body import open_import
from service.server.stream import STREAM_KEY

INPUT_KEY = "matchback.input"  # in a request's state
CLOSE_HEADER = (b"connection", b"close")

WsgiApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Bridge:
    """Falcon's WSGI application as an ASGI application.

    wsgi: the application.
    threads: maximum number of concurrent requests, not counting imports.
    """

    is_stopping = False  # if true, each response closes its connection

    def __init__(self, wsgi: WsgiApplication, threads: int) -> None:
        reading: Any = _with_body(wsgi)
        self._requests: Any = WSGIMiddleware(reading, workers=threads)
        self._imports: Any = WSGIMiddleware(reading, workers=MAX_IMPORT_THREADS)
        self._bodies = Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._requests(scope, receive, send)
        elif scope["type"] == "http":
            with contextlib.suppress(ClientGone):
                await self._answer(head.clean_scope(scope), receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        state, application, held = scope["state"], self._requests, b""
        refusal = head.check_head(scope)
        # An unknown length closes the connection after the response.
        body = Body(receive, head.read_body_length(scope) if refusal is None else None)
        try:
            if refusal is not None:
                raise refusal
            if head.is_import(scope):
                application = self._imports
                state[INPUT_KEY] = open_import(body, asyncio.get_running_loop())
            else:
                held = await self._bodies.read(body)
                state[INPUT_KEY] = BytesIO(held)
        except falcon.HTTPError as error:
            state[REJECTION_KEY], state[INPUT_KEY] = error, BytesIO()
        answer = _Answer(send, body, state)
        try:
            await application(scope, receive, answer)
        finally:
            self._bodies.release(len(held))
        await answer.finish(receive)


class _Answer:
    """The messages of a response. The head is sent with the body, and the end comes last.

    Sending must not raise, because a2wsgi's thread would wait forever for room in its queue.
    """

    def __init__(self, send: Send, body: Body, state: dict[str, Any]) -> None:
        self._send = send
        self._body = body
        self._state = state
        self._head: Message | None = None
        self._end: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._head = message
        elif message.get("more_body", False):
            await self.send(message)
        else:
            self._end = message

    async def finish(self, receive: Receive) -> None:
        """Send the end, after the stream or after the rest of an unread body."""
        stream, download = self._state.get(STREAM_KEY), self._state.get(DOWNLOAD_KEY)
        if stream is not None or download is not None or not self._body.is_whole:
            await self.send({"type": "http.response.body", "body": b"", "more_body": True})
        if stream is not None:
            await stream.run(receive, self.send)
        if download is not None:
            await self._send_download(download, receive)
        await self._body.drain()
        if self._end is not None:
            await self.send(self._end)

    async def _send_download(self, download: Download, receive: Receive) -> None:
        connection: ClientConnection | None = self._state.get(CONNECTION_KEY)
        if connection is not None:
            connection.begin_download()
        if not await send_download(download, receive, self.send):
            self._end = None
            if connection is not None:
                connection.cut()

    async def send(self, message: Message) -> None:
        # uvicorn logs a response that it cannot send. uvloop raises if the client left.
        with contextlib.suppress(Exception):
            if self._head is not None:
                first, self._head = self._head, None
                is_long = STREAM_KEY in self._state or DOWNLOAD_KEY in self._state
                if Bridge.is_stopping or is_long or not self._body.is_whole:
                    first["headers"].append(CLOSE_HEADER)
                await self._send(first)
            await self._send(message)


def _with_body(wsgi: WsgiApplication) -> WsgiApplication:
    """Add the body and the raw path to WSGI's environment."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        scope = environ["asgi.scope"]
        environ["wsgi.input"] = scope["state"][INPUT_KEY]
        environ[REJECTION_KEY] = scope["state"].get(REJECTION_KEY)
        environ["PATH_INFO"] = unquote_to_bytes(scope["raw_path"]).decode("latin-1")
        return wsgi(environ, start_response)

    return call
