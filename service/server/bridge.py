"""The ASGI application, which passes complete requests to the threads of the WSGI application."""

import asyncio
import contextlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

import falcon

from service.api.download import DOWNLOAD_KEY, Download
from service.api.import_shares import MAX_IMPORT_THREADS
from service.middleware.request import REJECTION_KEY
from service.server import head
from service.server.asgi import Message, Receive, Scope, Send
from service.server.body import Bodies, Body, ClientGone
from service.server.connection import CONNECTION_KEY, HAS_ARRIVED_KEY, ClientConnection
from service.server.downloads import send_download
from service.server.import_body import open_import
from service.server.responder import Responder, WsgiApplication
from service.server.stream import STREAM_KEY, Stream

INPUT_KEY = "matchback.input"  # in a request's state
CLOSE_HEADER = (b"connection", b"close")


class Bridge:
    """Falcon's WSGI application as an ASGI application.

    wsgi: the application.
    threads: maximum number of concurrent requests, not counting imports.
    """

    is_stopping = False  # if true, each response closes its connection

    def __init__(self, wsgi: WsgiApplication, threads: int) -> None:
        self._wsgi = _with_body(wsgi)
        self._requests = ThreadPoolExecutor(threads, "requests")
        self._imports = ThreadPoolExecutor(MAX_IMPORT_THREADS, "imports")
        self._bodies = Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            with contextlib.suppress(ClientGone):
                await self._answer(head.clean_scope(scope), receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        state, threads, held = scope["state"], self._requests, b""
        refusal = head.check_head(scope)
        # An unknown length closes the connection after the response.
        length = head.read_body_length(scope) if refusal is None else None
        limit = head.find_body_limit(scope)
        body = Body(receive, length, limit, has_arrived=HAS_ARRIVED_KEY in state)
        try:
            if refusal is not None:
                raise refusal
            if head.is_import(scope):
                threads = self._imports
                state[INPUT_KEY] = open_import(body, asyncio.get_running_loop())
            else:
                held = await self._bodies.read(body)
                state[INPUT_KEY] = BytesIO(held)
        except falcon.HTTPError as error:
            state[REJECTION_KEY], state[INPUT_KEY] = error, BytesIO()
        try:
            answer = await Responder(self._wsgi, threads).run(scope)
        finally:
            self._bodies.release(len(held))
        await _send_response(answer, body, state, receive, send)


async def _send_response(
    answer: tuple[Message, bytes],
    body: Body,
    state: dict[str, Any],
    receive: Receive,
    send: Send,
) -> None:
    """Send the head with the content. The end comes after a stream, download or unread body."""
    first, content = answer
    stream: Stream | None = state.get(STREAM_KEY)
    download: Download | None = state.get(DOWNLOAD_KEY)
    is_over = stream is None and download is None and body.is_whole
    if Bridge.is_stopping or not is_over:
        first["headers"].append(CLOSE_HEADER)
    await _send_quietly(send, first)
    await _send_quietly(send, _make_piece(content, is_last=is_over))
    if is_over:
        return
    if stream is not None:
        await stream.run(receive, partial(_send_quietly, send))
    if download is not None and not await _send_download(download, state, receive, send):
        return
    await body.drain()
    await _send_quietly(send, _make_piece(b"", is_last=True))


async def _send_download(
    download: Download, state: dict[str, Any], receive: Receive, send: Send
) -> bool:
    """Send a download. Cut the connection and return False if it is not complete."""
    connection: ClientConnection | None = state.get(CONNECTION_KEY)
    if connection is not None:
        connection.begin_download()
    is_complete = await send_download(download, receive, partial(_send_quietly, send))
    if not is_complete and connection is not None:
        connection.cut()
    return is_complete


def _make_piece(content: bytes, *, is_last: bool) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": not is_last}


async def _send_quietly(send: Send, message: Message) -> None:
    # uvicorn logs a response that it cannot send. uvloop raises if the client left.
    with contextlib.suppress(Exception):
        await send(message)


def _with_body(wsgi: WsgiApplication) -> WsgiApplication:
    """Add the body and the raw path to WSGI's environment."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        scope = environ["asgi.scope"]
        environ["wsgi.input"] = scope["state"][INPUT_KEY]
        environ[REJECTION_KEY] = scope["state"].get(REJECTION_KEY)
        environ["PATH_INFO"] = unquote_to_bytes(scope["raw_path"]).decode("latin-1")
        return wsgi(environ, start_response)

    return call
