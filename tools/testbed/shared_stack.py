"""One stack for consecutive tests whose universities do not see one another."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from tools.testbed.stack import Servers, Stack, wait_until

OPEN = {psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT}


class KeptStack:
    """A running stack that waits for the next test with the same settings."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._settings: dict[str, str] = {}
        self._stack: Stack | None = None

    def find(self, settings: Mapping[str, str]) -> Stack | None:
        """Return the running stack if it has these settings. Stop any other one."""
        if settings != self._settings:
            self.stop()
        return self._stack

    def start(self, servers: Servers, uri: str, folder: Path, settings: Mapping[str, str]) -> Stack:
        """Start a stack on a database that has its indexes."""
        stack = Stack(servers, uri, folder, environment=dict(settings))
        self._stack = self._running.enter_context(stack.up())
        self._settings = dict(settings)
        return self._stack

    def stop(self) -> None:
        """Stop the stack, because the next test empties its database."""
        self._stack = None
        self._running.close()


@contextmanager
def restarted_web(stack: Stack, **settings: str) -> Iterator[None]:
    """Run the web service with other settings, and afterwards with its own again."""
    before = dict(stack.environment)
    _restart(stack, before | settings)
    try:
        yield
    finally:
        _restart(stack, before)


def _restart(stack: Stack, environment: dict[str, str]) -> None:
    stack.kill("web")
    stack.environment = environment
    stack.start_web()


def start_ended_parts(stack: Stack) -> None:
    """Start the parts that a test has killed or stopped."""
    parts = stack.supervisor.parts
    parts[:] = [part for part in parts if part.process and part.process.poll() is None]
    running = {part.name for part in parts}
    if "web" not in running:
        stack.start_web()
    if "worker" not in running:
        stack.start_worker()


def hang_up(stack: Stack) -> None:
    """Close what a test has opened, and wait until the web service has done so too.

    A connection that the service still holds takes a place from the next test's clients.
    """
    while stack.clients:
        stack.clients.pop().close()
    wait_until(lambda: not _has_clients(stack), "the web service closing its connections")


def _has_clients(stack: Stack) -> bool:
    port = urlsplit(stack.url).port
    return any(
        each.laddr.port == port and each.status in OPEN
        for process in psutil.Process(stack.pid("web")).children()
        for each in process.net_connections("tcp")
    )
