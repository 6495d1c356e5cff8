"""The call of the WSGI application: one way to a thread, and one way back with the response."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.server.asgi import Message
from service.server.responder import Responder, WsgiApplication
from tools.testbed.coroutines import run_coroutine

SCOPE = {
    "type": "http",
    "method": "GET",
    "path": "/",
    "query_string": b"",
    "http_version": "1.1",
    "headers": [(b"host", b"x")],
}


def respond(application: WsgiApplication) -> tuple[Message, bytes]:
    async def run() -> tuple[Message, bytes]:
        with ThreadPoolExecutor(1) as threads:
            return await Responder(application, threads).run(SCOPE)

    return run_coroutine(run())


class Pieces:
    """A response in several pieces, which reports that it was closed."""

    is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from (b"one", b"", b" two")

    def close(self) -> None:
        self.is_closed = True


def test_a_response_comes_back_whole_and_closed() -> None:
    pieces = Pieces()

    def application(environ: dict[str, Any], start_response: Any) -> Pieces:
        assert (environ["REQUEST_METHOD"], environ["HTTP_HOST"]) == ("GET", "x")
        start_response("201 Created", [("X-Name", "value")])
        return pieces

    first, body = respond(application)
    assert (first["status"], first["headers"]) == (201, [(b"x-name", b"value")])
    assert body == b"one two"
    assert pieces.is_closed


def test_an_error_in_the_thread_is_raised_in_the_event_loop() -> None:
    """uvicorn then logs the error and responds 500."""

    def broken(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise LookupError("in the thread")

    def reported(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            raise LookupError("reported")
        except LookupError as error:
            start_response("500 Oops", [], (LookupError, error, error.__traceback__))
        return [b""]

    for application in (broken, reported):
        with pytest.raises(LookupError):
            respond(application)


def test_a_request_whose_client_is_gone_ends_without_an_error() -> None:
    """At a stop, the server cancels requests that take too long, but their threads go on."""

    async def run() -> None:
        with ThreadPoolExecutor(1) as threads:
            release = asyncio.get_running_loop().create_future()

            def slow(environ: dict[str, Any], start_response: Any) -> list[bytes]:
                asyncio.run_coroutine_threadsafe(_await(release), release.get_loop()).result(10)
                start_response("200 OK", [])
                return [b""]

            task = asyncio.create_task(Responder(slow, threads).run(SCOPE))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            release.set_result(None)
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.05)

    run_coroutine(run())


async def _await(future: asyncio.Future[None]) -> None:
    await future
