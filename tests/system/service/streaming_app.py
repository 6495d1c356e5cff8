"""An application for gunicorn that replaces the service in tests of streams."""

import os
import threading
from typing import Any

import falcon

from config.database import connect_web
from config.observability.log import configure_logging
from service.dashboard.live.resource import Live
from service.server import stream
from service.server.bridge import Bridge
from service.server.stream import Stream, TooManyStreams, hand_over_stream

APP = "tests.system.service.streaming_app:start()"
LIMIT = "TEST_STREAMS_LIMIT"
TAKEN = b"a" * 1000


class Plain:
    """A stream for each GET. A POST sends a message to all streams repeatedly."""

    def __init__(self) -> None:
        self._open: set[Stream] = set()

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        try:
            opened = Stream()
        except TooManyStreams:
            raise falcon.HTTPServiceUnavailable(retry_after=10) from None
        self._open.add(opened)
        opened.when_closed(lambda: self._open.discard(opened))
        opened.send(b"hello\n")
        resp.content_type = "text/event-stream"
        resp.stream = hand_over_stream(req.env, opened)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        for _ in range(req.get_param_as_int("times", required=True)):
            for opened in list(self._open):
                opened.send(TAKEN)

    def on_delete(self, req: falcon.Request, resp: falcon.Response) -> None:
        for opened in list(self._open):
            opened.send(b"bye\n")
            opened.end()


class Ordinary:
    """/readyz: an ordinary request, served by a thread. It reports the number of streams."""

    def __init__(self, plain: Plain) -> None:
        self._plain = plain

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = {"streams": len(self._plain._open), "threads": threading.active_count()}


def create_app() -> falcon.App[Any, Any]:
    """Return the application."""
    plain = Plain()
    app = falcon.App()
    app.add_route("/readyz", Ordinary(plain))
    app.add_route("/streams", plain)
    app.add_route("/dashboard/live", Live())
    return app


def start() -> Bridge:
    """Return the application that gunicorn calls."""
    configure_logging()
    connect_web()
    if LIMIT in os.environ:
        stream._places = threading.BoundedSemaphore(int(os.environ[LIMIT]))
    return Bridge(create_app(), 1)
