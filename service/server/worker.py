"""gunicorn's worker class: uvicorn's worker, which loses no request when it stops."""

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from config import memory
from config.observability.log import configure_logging
from service.server import downloads, stream
from service.server.bridge import Bridge
from service.server.connection import MAX_CONNECTIONS, ClientConnection
from service.server.listener import reject_new_handshakes

# Time for pending handshakes at a stop, much longer than a round trip.
HANDSHAKE_ROUND_SECONDS, HANDSHAKE_ROUNDS = 0.01, 10
# Time for connected clients to send a request at a stop.
LAST_REQUESTS_SECONDS = 2.0
LAST_ANSWERS_SECONDS = 6
NOTIFY_INTERVAL_SECONDS = 1
SPARE_FILE_DESCRIPTORS = 500
# The kernel closes the connection of a client that acknowledges nothing for this long.
TCP_USER_TIMEOUT_MILLISECONDS = 30_000


class StoppingServer(Server):
    """uvicorn's server. Before it stops, it answers all connected clients."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        Bridge.is_stopping = True
        stream.end_streams()
        for listener in sockets or ():
            reject_new_handshakes(listener.fileno())
        # In rounds, because a busy event loop runs its timers before it accepts connections.
        for _ in range(HANDSHAKE_ROUNDS):
            await asyncio.sleep(HANDSHAKE_ROUND_SECONDS)
        for each in (*self.servers, *(sockets or ())):
            each.close()
        until = asyncio.get_running_loop().time() + LAST_REQUESTS_SECONDS
        while self.server_state.connections and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.05)
        downloads.cut_downloads()
        await super().shutdown(None)


class Worker(UvicornWorker):
    """gunicorn.conf.py names this class as worker_class."""

    CONFIG_KWARGS = {
        "http": ClientConnection,
        "loop": "auto",
        "ws": "none",
        "lifespan": "off",
        "interface": "asgi3",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,  # service/middleware/client_address.py reads X-Forwarded-For
        "timeout_graceful_shutdown": LAST_ANSWERS_SECONDS,
        "timeout_notify": NOTIFY_INTERVAL_SECONDS,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._server = StoppingServer(self.config)

    @classmethod
    def setup(cls) -> None:
        """Send gunicorn's log lines to the service's log."""
        configure_logging("web")
        own = logging.getLogger("gunicorn.error")
        own.handlers.clear()
        own.propagate = True

    def init_process(self) -> None:
        # Each connection needs a file descriptor. Without one, the process cannot accept clients.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MAX_CONNECTIONS + SPARE_FILE_DESCRIPTORS
        if soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        # A signal can arrive before uvicorn handles signals, when clients are connected already.
        # uvicorn raises the signal again after its stop. The process must then still run gunicorn's
        # hooks.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._server.handle_exit)

    async def callback_notify(self) -> None:
        """Notify gunicorn that this process is alive. Stop if gunicorn itself was killed."""
        await super().callback_notify()
        if os.getppid() != self.ppid:
            self._server.should_exit = True

    async def _serve(self) -> None:
        memory.tune_collector()
        for listener in self.sockets:
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # on Linux; connections inherit it
                listener.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MILLISECONDS
                )
        self.config.app = self.wsgi
        self._install_sigquit_handler()
        await self._server.serve(sockets=self.sockets)
        if not self._server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
