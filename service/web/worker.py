"""What gunicorn starts: uvicorn's worker, with a stop that loses no request."""

import asyncio
import logging
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from config import memory
from config.log import configure_logging
from service.web import stream
from service.web.connection import CONNECTIONS, Connection
from service.web.listener import begin_no_more

# For handshakes that had begun when a stop begins: far more than a round trip.
LAST_HANDSHAKES_SECONDS = 0.1
HANDSHAKE_ROUNDS = 10
# For clients that are connected and have not sent their request yet.
LAST_REQUESTS_SECONDS = 2.0
LAST_ANSWERS_SECONDS = 6
FILES_BESIDE = 500
# A client that vanished without a word is noticed by what it does not acknowledge or read.
UNACKNOWLEDGED_MILLISECONDS = 30_000


class StoppingServer(Server):
    """uvicorn's server; answers every client that is connected before it stops."""

    def __init__(self, config: Config, is_to_leave: Callable[[], bool]) -> None:
        super().__init__(config)
        self._is_to_leave = is_to_leave

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # The signal came before uvicorn listened for signals.
        self.should_exit = self.should_exit or self._is_to_leave()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        Connection.is_stopping = True
        for connection in self.server_state.connections:
            if isinstance(connection, Connection):
                connection.keep_no_longer()
        stream.end_all()
        for listener in sockets or ():
            begin_no_more(listener.fileno())
        # In rounds, because a loop that was starved runs its timers before it accepts.
        for _ in range(HANDSHAKE_ROUNDS):
            await asyncio.sleep(LAST_HANDSHAKES_SECONDS / HANDSHAKE_ROUNDS)
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        until = asyncio.get_running_loop().time() + LAST_REQUESTS_SECONDS
        while self.server_state.connections and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.05)
        await super().shutdown(None)


class Worker(UvicornWorker):
    """What gunicorn.conf.py names as worker_class."""

    CONFIG_KWARGS = {
        "http": Connection,
        "loop": "auto",
        "ws": "none",
        "lifespan": "on",
        "interface": "asgi3",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,  # service/client_address.py reads X-Forwarded-For
        "timeout_graceful_shutdown": LAST_ANSWERS_SECONDS,
    }

    _is_to_leave = False

    @classmethod
    def setup(cls) -> None:
        """Send gunicorn's own lines the way of ours, before it starts processes."""
        configure_logging("web")
        own = logging.getLogger("gunicorn.error")
        own.handlers.clear()
        own.propagate = True

    def init_process(self) -> None:
        # A file for each connection: a process that runs out of files cannot accept any.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = CONNECTIONS + FILES_BESIDE
        if soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._leave)

    def _leave(self, *_: Any) -> None:
        # Before uvicorn serves: clients wait at the listener already, so serve them first. After
        # it has stopped, uvicorn raises the signal again: ignore it, so that the process ends in
        # good order, with gunicorn's hooks.
        self._is_to_leave = True

    async def _serve(self) -> None:
        memory.spare_collector()
        for listener in self.sockets:
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections inherit it
                listener.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MILLISECONDS
                )
        self.config.app = self.wsgi
        server = StoppingServer(self.config, lambda: self._is_to_leave)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
