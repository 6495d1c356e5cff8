"""Real parts: a replica set of three, Redis, two web services behind proxies, and others.

Two workers settle, and two senders take turns.
"""

import os
import signal
import threading
import time
from pathlib import Path

import httpx
import redis
from pymongo.errors import PyMongoError

from config.database import DatabaseClient
from service.local import servers
from service.local.command import (
    build_sender_command,
    build_serve_command,
    build_worker_command,
)
from service.local.supervisor import Part, Supervisor
from tools.chaos.disk import Disk
from tools.chaos.proxy import Proxy
from tools.testbed.stack import wait_until

NODE_COUNT = 3
WEB_COUNT = 2
WORKER_COUNT = 2
SENDER_COUNT = 2
ELECTION_TIMEOUT_MILLISECONDS = 1500


class Cluster:
    """All processes. The supervisor restarts any process that dies."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.supervisor = Supervisor(say=lambda text: None)
        self.guard = threading.Lock()
        self.proxies: list[Proxy] = []
        self._seed = seed
        self._stopping = threading.Event()
        self.disk = Disk(folder / f"node{seed % NODE_COUNT}" / "mongodb")  # of one node

    def start(self) -> None:
        self.mongodb_ports = [servers.find_free_port() for _ in range(NODE_COUNT)]
        for number, port in enumerate(self.mongodb_ports):
            part = servers.build_mongodb_part(self.folder / f"node{number}", port)
            if number == self._seed % NODE_COUNT:
                self.disk.mount()
            part.name = f"MongoDB {number}"
            self.supervisor.start(part)
        self._initiate()
        self.redis_port = servers.find_free_port()
        self.supervisor.start(servers.build_redis_part(self.folder, self.redis_port))
        nodes = ",".join(f"{servers.LOOPBACK_ADDRESS}:{port}" for port in self.mongodb_ports)
        self.uri = f"mongodb://{nodes}/chaos?replicaSet={servers.REPLICA_SET_NAME}"
        self.environment = {
            "MATCHBACK_MONGODB_URI": self.uri,
            "MATCHBACK_REDIS_URL": servers.build_redis_url(self.redis_port),
            "MATCHBACK_WEB_WORKERS": "1",
            "MATCHBACK_LOG_LEVEL": "warning",
            "MATCHBACK_WEBHOOK_PRIVATE_NETWORKS": f"{servers.LOOPBACK_ADDRESS}/32",
        }

    def start_service(self) -> None:
        """Start a web service. The indexes must exist."""
        for number in range(WEB_COUNT):
            self._start_web(number)
        for name, count, command in (
            ("worker", WORKER_COUNT, build_worker_command()),
            ("sender", SENDER_COUNT, build_sender_command()),
        ):
            for number in range(count):
                log = self.folder / f"{name}{number}.log"
                self.supervisor.start(Part(f"{name} {number}", command, log, self.environment))
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def urls(self) -> list[str]:
        """URLs of the web services, through their proxies."""
        return [f"http://{servers.LOOPBACK_ADDRESS}:{proxy.port}" for proxy in self.proxies]

    def pid(self, name: str) -> int | None:
        with self.guard:
            return self.supervisor.pids().get(name)

    def primary(self) -> str | None:
        """Return the name of the node that takes writes, or None if no node reports it."""
        for number, port in enumerate(self.mongodb_ports):
            with DatabaseClient(
                servers.LOOPBACK_ADDRESS,
                port,
                directConnection=True,
                serverSelectionTimeoutMS=300,
                socketTimeoutMS=300,
            ) as mongo:
                try:
                    if mongo.admin.command("hello").get("isWritablePrimary"):
                        return f"MongoDB {number}"
                except PyMongoError:
                    continue
        return None

    def step_down(self) -> bool:
        """Ask the primary to step down."""
        name = self.primary()
        if name is None:
            return False
        port = self.mongodb_ports[int(name.split()[1])]
        with DatabaseClient(
            servers.LOOPBACK_ADDRESS, port, directConnection=True, serverSelectionTimeoutMS=1000
        ) as mongo:
            try:
                mongo.admin.command({"replSetStepDown": 5, "secondaryCatchUpPeriodSecs": 2})
            except PyMongoError:
                return False
        return True

    def flush_redis(self) -> bool:
        try:
            with redis.Redis(servers.LOOPBACK_ADDRESS, self.redis_port, socket_timeout=1) as queue:
                return bool(queue.flushall())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        self._stopping.set()
        for proxy in self.proxies:
            proxy.close()
        with self.guard:
            # Kill the nodes, because a replica set takes most of a minute to stop and the data is
            # not needed.
            for name, pid in self.supervisor.pids().items():
                if name.startswith("MongoDB"):
                    os.kill(pid, signal.SIGKILL)
            self.supervisor.stop()
        self.disk.unmount()

    def _watch(self) -> None:
        while not self._stopping.wait(0.1):
            with self.guard:
                if not self._stopping.is_set():
                    for part in self.supervisor.parts:
                        part.short_lives = 0  # restart at once, because the monkey killed it
                    self.supervisor.watch()

    def _initiate(self) -> None:
        members = [
            {"_id": number, "host": f"{servers.LOOPBACK_ADDRESS}:{port}"}
            for number, port in enumerate(self.mongodb_ports)
        ]
        settings = {
            "electionTimeoutMillis": ELECTION_TIMEOUT_MILLISECONDS,
            "heartbeatIntervalMillis": 500,
        }
        config = {"_id": servers.REPLICA_SET_NAME, "members": members, "settings": settings}
        with DatabaseClient(
            servers.LOOPBACK_ADDRESS, self.mongodb_ports[0], directConnection=True
        ) as mongo:
            mongo.admin.command("replSetInitiate", config)
        wait_until(self.primary, "a primary")

    def _start_web(self, number: int) -> None:
        port = servers.find_free_port()
        self.proxies.append(Proxy(port, self._seed + number))
        environment = {**self.environment, "MATCHBACK_PORT": str(port)}

        def answers() -> bool:
            try:
                return (
                    httpx.get(f"http://{servers.LOOPBACK_ADDRESS}:{port}/healthz").status_code
                    == 200
                )
            except httpx.HTTPError:
                time.sleep(0.1)
                return False

        log = self.folder / f"web{number}.log"
        self.supervisor.start(
            Part(f"web {number}", build_serve_command(), log, environment, ready=answers)
        )
