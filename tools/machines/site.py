"""A site of eight hosts (three MongoDB, one Redis, two web, two worker) and a host for clients."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from pymongo.errors import PyMongoError

from config.database import DatabaseClient
from service.local import servers
from service.local.command import build_serve_command, build_worker_command
from service.local.readiness import is_ready
from service.local.supervisor import Part, Supervisor
from tools.machines.network import Host, Network
from tools.testbed.stack import NO_RATE_LIMITS, WAIT_TIMEOUT_SECONDS, wait_until

NODE_NAMES = ("node0", "node1", "node2")
WEB_NAMES = ("web0", "web1")
WORKER_NAMES = ("worker0", "worker1")
CLIENTS_HOST = "clients"
REDIS_HOST = "redis"
SERVER_PORTS = {"MongoDB": 27017, "Redis": 6379, "web": 8000}
# The driver's defaults do not suit hosts that share one slow machine.
ELECTION_TIMEOUT_MILLISECONDS = 4000
HEARTBEAT_INTERVAL_MILLISECONDS = 500
DATABASE_TIMEOUT_SECONDS = 3
STOP_GRACE_SECONDS = 30
MONGODB_CACHE_GB = 0.25
DATABASE_NAME = "machines"


class Site:
    """All parts of the service, each on a host of its own."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.folder = folder
        self.network = network
        self.supervisor = Supervisor(say=lambda text: None)
        self._clients: dict[str, DatabaseClient] = {}
        for name in (*NODE_NAMES, REDIS_HOST, *WEB_NAMES, *WORKER_NAMES, CLIENTS_HOST):
            network.host(name)

    def host(self, name: str) -> Host:
        return self.network.hosts[name]

    @property
    def nodes(self) -> list[Host]:
        return [self.host(name) for name in NODE_NAMES]

    @property
    def uri(self) -> str:
        nodes = ",".join(f"{host.address}:{SERVER_PORTS['MongoDB']}" for host in self.nodes)
        return f"mongodb://{nodes}/{DATABASE_NAME}?replicaSet={servers.REPLICA_SET_NAME}"

    @property
    def redis_url(self) -> str:
        return f"redis://{self.host(REDIS_HOST).address}:{SERVER_PORTS['Redis']}/0"

    @property
    def urls(self) -> dict[str, str]:
        """URLs of the web hosts."""
        return {
            name: f"http://{self.host(name).address}:{SERVER_PORTS['web']}" for name in WEB_NAMES
        }

    def start_servers(self) -> None:
        """Start MongoDB and Redis."""
        for name in NODE_NAMES:
            self.start(name)
        self._initiate()
        self.start(REDIS_HOST)

    def start(self, name: str) -> None:
        """Start the part of this host, and wait until it is ready."""
        self.supervisor.start(self._part(name))

    def stop_gracefully(self, name: str) -> None:
        """Send SIGTERM, and SIGKILL after a grace period, as a service manager does.

        A worker may be settling a fundraiser that keeps receiving gifts. SIGKILL then interrupts
        it, which must change nothing either.
        """
        process = self._forget(name).process
        assert process
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(STOP_GRACE_SECONDS) == 0, f"{name} did not end in order"
        except subprocess.TimeoutExpired:
            assert name in WORKER_NAMES, f"{name} did not end"
            self.host(name).lose()
            process.wait(WAIT_TIMEOUT_SECONDS)

    def lose(self, name: str) -> None:
        """Kill the host with all its processes."""
        part = self._forget(name)
        self.host(name).lose()
        assert part.process
        part.process.wait(WAIT_TIMEOUT_SECONDS)

    def primary(self, among: tuple[str, ...] = NODE_NAMES) -> str | None:
        """Return the node that reports to be a writable primary, or None."""
        return next((name for name in among if self._hello(name).get("isWritablePrimary")), None)

    def is_ready(self, name: str) -> bool:
        """Return whether the web host reports readiness."""
        return is_ready(self.urls[name])

    def log(self, name: str) -> str:
        return self._log(name).read_text()

    def stop(self) -> None:
        """Stop everything at once. The data is not needed again."""
        for client in self._clients.values():
            client.close()
        for host in self.network.hosts.values():
            host.lose()
        self.supervisor.stop()

    def _part(self, name: str) -> Part:
        if name in NODE_NAMES:
            part = servers.build_mongodb_part(
                self.folder / name, SERVER_PORTS["MongoDB"], MONGODB_CACHE_GB
            )
            return self._at(name, part, lambda: bool(self._hello(name)))
        if name == REDIS_HOST:
            return self._at(
                name, servers.build_redis_part(self.folder / name, SERVER_PORTS["Redis"]), None
            )
        environment = {
            "MATCHBACK_MONGODB_URI": self.uri,
            "MATCHBACK_REDIS_URL": self.redis_url,
            "MATCHBACK_HOST": self.host(name).address,
            "MATCHBACK_PORT": str(SERVER_PORTS["web"]),
            "MATCHBACK_WEB_WORKERS": "1",
            "MATCHBACK_DATABASE_TIMEOUT_SECONDS": str(DATABASE_TIMEOUT_SECONDS),
            "MATCHBACK_LOG_LEVEL": "info",
            **NO_RATE_LIMITS,
        }
        is_web = name in WEB_NAMES
        command = self.host(name).inside(
            build_serve_command() if is_web else build_worker_command()
        )
        ready = (lambda: self.is_ready(name)) if is_web else (lambda: self._has_said(name))
        return Part(name, command, self._log(name), environment, ready=ready)

    def _at(self, name: str, part: Part, ready: Callable[[], bool] | None) -> Part:
        """Change a server's part to listen on a host's address instead of the loopback."""
        host = self.host(name)
        part.command = host.inside(
            [host.address if word == servers.LOOPBACK_ADDRESS else word for word in part.command]
        )
        part.name, part.ready = name, ready
        if name == REDIS_HOST:
            part.command += ["--protected-mode", "no"]
        return part

    def _has_said(self, name: str) -> bool:
        """Return whether this worker has logged its readiness.

        The log of an earlier worker is removed.
        """
        return "worker ready" in self.log(name)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _forget(self, name: str) -> Part:
        part = next(part for part in self.supervisor.parts if part.name == name)
        self.supervisor.parts.remove(part)
        log = self._log(name)
        if name in WORKER_NAMES:
            log.rename(log.with_suffix(f".{os.urandom(2).hex()}.log"))
        return part

    def _hello(self, name: str) -> dict[str, object]:
        """Ask a node over a kept connection, because tests ask many times in a second."""
        if name not in self._clients:
            self._clients[name] = DatabaseClient(
                self.host(name).address,
                SERVER_PORTS["MongoDB"],
                directConnection=True,
                serverSelectionTimeoutMS=500,
                socketTimeoutMS=1000,
            )
        try:
            return self._clients[name].admin.command("hello")
        except PyMongoError:
            return {}

    def _initiate(self) -> None:
        members = [
            {"_id": number, "host": f"{host.address}:{SERVER_PORTS['MongoDB']}"}
            for number, host in enumerate(self.nodes)
        ]
        settings = {
            "electionTimeoutMillis": ELECTION_TIMEOUT_MILLISECONDS,
            "heartbeatIntervalMillis": HEARTBEAT_INTERVAL_MILLISECONDS,
        }
        config = {"_id": servers.REPLICA_SET_NAME, "members": members, "settings": settings}
        with DatabaseClient(self.nodes[0].address, directConnection=True) as mongo:
            mongo.admin.command("replSetInitiate", config)
        wait_until(self.primary, "a primary")
