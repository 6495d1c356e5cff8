"""Real processes for tests: the servers, the web service, the worker."""

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import mongoengine
import redis

from config import database
from config.observability.buffered_lines import LOG_WRITE_INTERVAL_SECONDS
from config.settings import Settings
from documents.migrations.indexes import update_indexes
from service.local import servers
from service.local.command import build_serve_command, build_worker_command
from service.local.readiness import NO_CERTIFICATES, is_ready
from service.local.supervisor import Part, Supervisor
from tools.testbed.cast import Api
from tools.testbed.emptied import empty, restore_indexes

_numbers = itertools.count(1)
WAIT_TIMEOUT_SECONDS = 60
# A question can cost the service a few milliseconds, so a long wait asks less often.
MIN_POLL_SECONDS, MAX_POLL_SECONDS = 0.02, 0.06
# These settings disable rate limits, so that a service accepts as many requests as it can.
NO_RATE_LIMITS = {
    f"MATCHBACK_{name}_REQUESTS_A_MINUTE": "1000000000" for name in ("KEY", "ADDRESS")
}


def wait_until(true: Callable[[], Any], what: str, seconds: float = WAIT_TIMEOUT_SECONDS) -> Any:
    """Wait for a condition to become true. The limit detects hangs, not slowness."""
    deadline = time.monotonic() + seconds
    pause = MIN_POLL_SECONDS
    while not (value := true()):
        assert time.monotonic() < deadline, f"gave up after {seconds} s of waiting for: {what}"
        time.sleep(pause)
        pause = min(1.1 * pause, MAX_POLL_SECONDS)
    return value


@dataclass
class Servers:
    """The addresses of the real servers."""

    mongodb_port: int
    redis_port: int
    supervisor: Supervisor
    _index_commands: list[int] = field(default_factory=list)

    @classmethod
    def start(cls, data: Path, supervisor: Supervisor, cache_gb: float = 0.5) -> "Servers":
        mongodb_port, redis_port = servers.find_free_port(), servers.find_free_port()
        mongodb = servers.build_mongodb_part(data, mongodb_port, cache_gb)
        fail_points = ("--setParameter", "enableTestCommands=1")
        mongodb.command = (*mongodb.command, *fail_points)
        supervisor.start(mongodb)
        servers.make_primary(mongodb_port)
        supervisor.start(servers.build_redis_part(data, redis_port))
        return cls(mongodb_port, redis_port, supervisor)

    @property
    def redis_url(self) -> str:
        return servers.build_redis_url(self.redis_port)

    def create_database(self) -> str:
        """Return the URI of an unused database, with an empty queue."""
        self._empty_queue()
        return servers.build_mongodb_uri(self.mongodb_port, f"test{next(_numbers)}")

    def clear_database(self) -> str:
        """Return the URI of a database without records, and empty the queue.

        It is the same database each time, because a hundred indexes take a second to create.
        MongoDB also keeps the files of dropped indexes open for minutes.
        """
        self._empty_queue()
        empty(self._clearing_client["tests"])
        return servers.build_mongodb_uri(self.mongodb_port, "tests")

    def restore_indexes(self) -> None:
        """Create the indexes of the connected database if any process may have changed them."""
        self._index_commands = restore_indexes(self._index_commands)

    def _empty_queue(self) -> None:
        with redis.Redis(servers.LOOPBACK_ADDRESS, self.redis_port) as queue:
            queue.flushall()

    @cached_property
    def _clearing_client(self) -> database.DatabaseClient:
        """Return one client for all clearings, because a client costs more than a clearing."""
        return database.DatabaseClient(servers.build_mongodb_uri(self.mongodb_port))

    def hang_up(self) -> None:
        """Close the connections that clearing has opened."""
        if "_clearing_client" in self.__dict__:
            self._clearing_client.close()

    def pid(self, name: str) -> int:
        return self.supervisor.pids()[name]


@dataclass
class Stack:
    """gunicorn and a worker, which a test can kill one by one."""

    servers: Servers
    mongodb_uri: str
    folder: Path
    supervisor: Supervisor = field(default_factory=lambda: Supervisor(say=lambda text: None))
    url: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    clients: list[httpx.Client] = field(default_factory=list)
    has_worker: bool = True

    def api(self) -> Api:
        """Return a client of the service at its current address."""
        self.clients.append(httpx.Client(base_url=self.url, timeout=30, verify=NO_CERTIFICATES))
        return Api.over_http(self.clients[-1])

    @contextmanager
    def up(self) -> "Iterator[Stack]":
        """Start a stack for the block."""
        try:
            self.start()
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        port = servers.find_free_port()
        self.url = f"http://{servers.LOOPBACK_ADDRESS}:{port}"
        self.environment |= {
            "MATCHBACK_MONGODB_URI": self.mongodb_uri,
            "MATCHBACK_REDIS_URL": self.servers.redis_url,
            "MATCHBACK_PORT": str(port),
            "MATCHBACK_URL": self.url,
        }
        self.start_web()
        if self.has_worker:
            self.start_worker()

    def start_web(self) -> None:
        log = self.folder / "web.log"
        self.supervisor.start(
            Part("web", build_serve_command(), log, self.environment, ready=self._web_answers)
        )

    def start_worker(self) -> None:
        log = self.folder / "worker.log"
        self.supervisor.start(Part("worker", build_worker_command(), log, self.environment))

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """Kill a part's process group at once, and remove the part."""
        part = next(part for part in self.supervisor.parts if part.name == name)
        assert part.process
        os.killpg(part.process.pid, how)
        part.process.wait(timeout=WAIT_TIMEOUT_SECONDS)
        self.supervisor.parts.remove(part)

    def pid(self, name: str) -> int:
        return self.supervisor.pids()[name]

    def stop(self) -> None:
        for client in self.clients:
            client.close()
        self.supervisor.stop()

    def log(self, name: str) -> str:
        """Return a part's log, including the lines of its latest requests."""
        time.sleep(2 * LOG_WRITE_INTERVAL_SECONDS)
        return (self.folder / f"{name}.log").read_text()

    def _web_answers(self) -> bool:
        return is_ready(self.url)


def connect_to_cluster(uri: str) -> None:
    """Connect this process, with patience for elections, and create indexes."""
    mongoengine.disconnect_all()
    database.connect_database(Settings(mongodb_uri=uri, database_timeout_seconds=10))
    update_indexes()


@contextmanager
def run_servers(folder: Path, cache_gb: float = 0.5) -> Iterator[tuple[Servers, str]]:
    """Start servers outside of pytest, and connect this process to an empty database."""
    supervisor = Supervisor(say=lambda text: None)
    try:
        started = Servers.start(folder, supervisor, cache_gb)
        uri = started.create_database()
        database.connect_database(Settings(mongodb_uri=uri))
        update_indexes()
        yield started, uri
    finally:
        mongoengine.disconnect_all()  # before the servers stop, because the client would wait
        supervisor.stop()


@contextmanager
def run_stack(
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    cache_gb: float = 0.5,
    has_worker: bool = True,
) -> Iterator[Stack]:
    """Start servers and the services, and connect this process."""
    with run_servers(folder, cache_gb) as (started, uri):
        given = dict(environment or {})
        with Stack(started, uri, folder, environment=given, has_worker=has_worker).up() as stack:
            yield stack
