"""The ASGI application: it gives whole requests to the threads of the WSGI application."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from a2wsgi import WSGIMiddleware

from service.middleware import REFUSAL
from service.web.body import Bodies, Body, Gone, Pieces
from service.web.heads import body_length, check, clean, is_import
from service.web.stream import STREAM

# Threads that wait for the bytes of imports; a thread is made when it is needed.
IMPORT_THREADS = 64
INPUT = "matchback.input"  # in a request's state
CLOSE = (b"connection", b"close")

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Bridge:
    """Falcon's WSGI application as an ASGI application.

    Args:
        wsgi: the application.
        threads: how many requests it answers at a time; imports have threads of their own.
    """

    def __init__(self, wsgi: Wsgi, threads: int) -> None:
        reading: Any = _reading(wsgi)
        self._requests: Any = WSGIMiddleware(reading, workers=threads)
        self._imports: Any = WSGIMiddleware(reading, workers=IMPORT_THREADS)
        self._bodies = Bodies()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            try:
                await self._answer(clean(scope), receive, send)
            except Gone:
                return
        elif scope["type"] == "lifespan":
            await self._requests(scope, receive, send)

    async def _answer(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        state, refusal, length = scope["state"], check(scope), None
        if refusal is None:
            length = body_length(scope)
        body = Body(receive, length, is_empty=length == 0)
        answer, application, held = Answer(send, body, state), self._requests, 0
        if refusal is None and is_import(scope):
            application = self._imports
            state[INPUT] = Pieces(body, asyncio.get_running_loop())
        elif refusal is None:
            found = await self._bodies.read(body)
            if isinstance(found, bytes):
                state[INPUT], held = BytesIO(found), len(found)
            else:
                refusal = found
        if refusal is not None:
            state[REFUSAL], state[INPUT] = refusal, BytesIO()
        try:
            await application(scope, receive, answer)
        finally:
            self._bodies.release(held)
        await answer.finish(receive)


class Answer:
    """What the application sends: the head goes with the body, and the end comes last.

    Sending must not raise, because a2wsgi's thread would wait forever for room in its queue.
    """

    def __init__(self, send: Any, body: Body, state: dict[str, Any]) -> None:
        self._send = send
        self._body = body
        self._state = state
        self._head: dict[str, Any] | None = None
        self._end: dict[str, Any] | None = None

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._head = message
            if not self._body.is_whole or STREAM in self._state:
                message["headers"].append(CLOSE)
        elif message.get("more_body", False):
            await self._pass(message)
        else:
            self._end = message

    async def finish(self, receive: Any) -> None:
        """Send the end: after the stream, or after the rest of a body that nothing wanted."""
        if (stream := self._state.get(STREAM)) is not None:
            await self._pass({"type": "http.response.body", "body": b"", "more_body": True})
            await stream.run(receive, self._send)
        elif not self._body.is_whole:
            await self._pass({"type": "http.response.body", "body": b"", "more_body": True})
            await self._body.drain()
        if self._end is not None:
            await self._pass(self._end)

    async def _pass(self, message: dict[str, Any]) -> None:
        # uvicorn reports an answer that it cannot send. uvloop raises if the client left.
        with contextlib.suppress(Exception):
            if self._head is not None:
                head, self._head = self._head, None
                await self._send(head)
            await self._send(message)


def _reading(wsgi: Wsgi) -> Wsgi:
    """Give the application its body, and its path as the client sent it."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        scope = environ["asgi.scope"]
        environ["wsgi.input"] = scope["state"][INPUT]
        environ[REFUSAL] = scope["state"].get(REFUSAL)
        environ["PATH_INFO"] = unquote_to_bytes(scope["raw_path"]).decode("latin-1")
        return wsgi(environ, start_response)

    return call
