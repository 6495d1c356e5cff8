"""The call of the WSGI application in a thread."""

import asyncio
import contextvars
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from a2wsgi.wsgi import WSGIResponder, build_environ

from service.server.asgi import Message, Scope

WsgiApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Responder(WSGIResponder):
    """a2wsgi's responder, whose thread returns to the event loop once, with the whole response.

    a2wsgi's thread waits three times: until the event loop has sent the head, the body and the end.
    With eight threads, these waits took more time than the requests. No response needs them,
    because each is in memory. Streams continue in the event loop (see stream.py).
    """

    def __init__(self, wsgi: Any, threads: ThreadPoolExecutor) -> None:
        super().__init__(wsgi, threads, 1)

    async def run(self, scope: Scope) -> tuple[Message, bytes]:
        """Return the first message of the response, and the body."""
        self._messages: list[Any] = []
        environ: Any = build_environ(scope, None)  # type: ignore[arg-type]
        answered = self.loop.create_future()
        self.executor.submit(contextvars.copy_context().run, self._run_in_thread, environ, answered)
        await answered
        first, *rest = self._messages
        return first, b"".join(message["body"] for message in rest)

    def send(self, message: Any) -> None:
        """Keep a message of the response. The thread calls this."""
        self._messages.append(message)

    def _run_in_thread(self, environ: Any, answered: asyncio.Future[None]) -> None:
        error = None
        try:
            self.wsgi(environ, self.start_response)
            if self.exc_info is not None:
                error = self.exc_info[1]
        except BaseException as raised:  # noqa: BLE001, because the event loop raises it
            error = raised
        self.loop.call_soon_threadsafe(_end, answered, error)


def _end(answered: asyncio.Future[None], error: BaseException | None) -> None:
    if answered.done():  # the server stops
        return
    if error is None:
        answered.set_result(None)
    else:
        answered.set_exception(error)
