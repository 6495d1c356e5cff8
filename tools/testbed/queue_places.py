"""Each kind of queue as a real server or file, which can fail and come back."""

import os
import secrets
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx
import redis

from service.local import servers
from service.local.servers import LOOPBACK_ADDRESS
from service.local.supervisor import Part, Supervisor
from tools.testbed.stack import wait_until
from tools.testbed.tls import make_certificate, terminate_tls

OUTAGE_SECONDS = 1.5
QUEUE_PASSWORD = "horse battery/@:" + secrets.token_hex(8)  # a URL must encode it
SENTINEL_SERVICE = "giving"


@dataclass
class QueuePlace:
    """The place where wake-ups wait."""

    url: str
    away: Callable[[], AbstractContextManager[None]]
    environment: dict[str, str] = field(default_factory=dict)


def kill_part(supervisor: Supervisor, name: str) -> Part:
    """Kill a server at once, and return its part."""
    part = next(part for part in supervisor.parts if part.name == name)
    assert part.process
    os.killpg(part.process.pid, signal.SIGKILL)
    part.process.wait(10)
    supervisor.parts.remove(part)
    return part


@contextmanager
def take_part_down(supervisor: Supervisor, name: str) -> Iterator[None]:
    """Kill a server for the block, then restart it without data."""
    part = kill_part(supervisor, name)
    yield
    supervisor.start(part)


def make_redis_probe(port: int, password: str | None = None) -> Callable[[], bool]:
    def look() -> bool:
        try:
            with redis.Redis(
                LOOPBACK_ADDRESS, port, password=password, socket_timeout=0.5
            ) as probe:
                return bool(probe.ping())
        except redis.RedisError:
            return False

    return look


def build_guarded_redis_part(
    folder: Path, name: str, port: int, *more: str, password: str = QUEUE_PASSWORD
) -> Part:
    home = folder / name
    home.mkdir()
    command = [servers.find_redis_server(), "--port", str(port), "--bind", LOOPBACK_ADDRESS]
    command += ["--dir", str(home), "--save", "", "--appendonly", "no", "--requirepass", password]
    return Part(
        name, [*command, *more], folder / f"{name}.log", ready=make_redis_probe(port, password)
    )


@contextmanager
def run_plain_redis(folder: Path, supervisor: Supervisor) -> Iterator[QueuePlace]:
    port = servers.find_free_port()
    supervisor.start(servers.build_redis_part(folder, port))
    yield QueuePlace(servers.build_redis_url(port), lambda: take_part_down(supervisor, "Redis"))


@contextmanager
def run_redis_by_tls(folder: Path, supervisor: Supervisor) -> Iterator[QueuePlace]:
    """Start a Redis with a password, behind TLS with a certificate that clients check."""
    inner, outer = servers.find_free_port(), servers.find_free_port()
    supervisor.start(build_guarded_redis_part(folder, "guarded", inner))
    files = make_certificate(folder)
    password = quote(QUEUE_PASSWORD, safe="")
    url = f"rediss://:{password}@{LOOPBACK_ADDRESS}:{outer}/0?ssl_ca_certs={files[0]}"
    with terminate_tls(files, outer, inner) as tls:

        @contextmanager
        def away() -> Iterator[None]:
            tls.is_unavailable = True
            tls.cut()
            yield
            tls.is_unavailable = False

        yield QueuePlace(url, away)


@contextmanager
def run_sentinel(folder: Path, supervisor: Supervisor) -> Iterator[QueuePlace]:
    """Start a master, a replica, and a Sentinel that promotes the replica when the master dies."""
    ports = [servers.find_free_port() for _ in range(3)]
    copying = ("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0")
    supervisor.start(
        build_guarded_redis_part(
            folder, "first", ports[0], *copying, "--masterauth", QUEUE_PASSWORD
        )
    )
    follows = ("--replicaof", LOOPBACK_ADDRESS, str(ports[0]), "--masterauth", QUEUE_PASSWORD)
    supervisor.start(build_guarded_redis_part(folder, "second", ports[1], *copying, *follows))
    own_word = secrets.token_hex(8)
    supervisor.start(_watcher(folder, ports, own_word))
    with (
        redis.Redis(LOOPBACK_ADDRESS, ports[1], password=QUEUE_PASSWORD) as replica,
        redis.Redis(LOOPBACK_ADDRESS, ports[2], password=own_word) as watcher,
    ):
        wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "a copy")
        wait_until(
            lambda: watcher.sentinel_slaves(SENTINEL_SERVICE), "Sentinel to find the replica"
        )

        @contextmanager
        def away() -> Iterator[None]:
            """Kill the master permanently."""
            kill_part(supervisor, "first")
            yield
            wait_until(lambda: replica.info("replication")["role"] == "master", "a failover")

        login = f":{quote(QUEUE_PASSWORD, safe='')}@"
        # No Sentinel listens on the first port, because clients may ask any of them.
        hosts = f"{LOOPBACK_ADDRESS}:{servers.find_free_port()},{LOOPBACK_ADDRESS}:{ports[2]}"
        url = f"redis+sentinel://{login}{hosts}/{SENTINEL_SERVICE}/0?sentinel_password={own_word}"
        yield QueuePlace(url, away)


def _watcher(folder: Path, ports: list[int], own_word: str) -> Part:
    file = folder / "sentinel.conf"
    file.write_text(
        f"port {ports[2]}\nbind {LOOPBACK_ADDRESS}\ndir {folder}\nrequirepass {own_word}\n"
        f"sentinel monitor {SENTINEL_SERVICE} {LOOPBACK_ADDRESS} {ports[0]} 1\n"
        f'sentinel auth-pass {SENTINEL_SERVICE} "{QUEUE_PASSWORD}"\n'
        f"sentinel down-after-milliseconds {SENTINEL_SERVICE} 500\n"
        f"sentinel failover-timeout {SENTINEL_SERVICE} 2000\n"
    )
    command = [servers.find_redis_server(), str(file), "--sentinel"]
    return Part(
        "watcher", command, folder / "watcher.log", ready=make_redis_probe(ports[2], own_word)
    )


@contextmanager
def use_sqlite_file(folder: Path, supervisor: Supervisor) -> Iterator[QueuePlace]:
    """Use a file, without any Redis."""
    file = folder / "queue.sqlite"

    @contextmanager
    def away() -> Iterator[None]:
        """Lock the file for the block, then delete it."""
        holder = sqlite3.connect(file, isolation_level=None)
        try:
            holder.execute("begin exclusive")
            yield
        finally:
            holder.close()
        for one in folder.glob("queue.sqlite*"):
            one.unlink()

    yield QueuePlace(f"sqlite:///{file}", away)


@contextmanager
def run_sqs(folder: Path, supervisor: Supervisor) -> Iterator[QueuePlace]:
    """Start a server that speaks the protocol of SQS. A restart removes its queues."""
    port = servers.find_free_port()
    endpoint = f"http://{LOOPBACK_ADDRESS}:{port}"

    def is_ready() -> bool:
        try:
            return httpx.get(f"{endpoint}/moto-api/", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    server = [
        str(Path(sys.executable).with_name("moto_server")),
        "-H",
        LOOPBACK_ADDRESS,
        "-p",
        str(port),
    ]
    supervisor.start(Part("SQS", server, folder / "sqs.log", ready=is_ready))
    url = f"sqs://eu-west-1/test?endpoint_url={quote(endpoint, safe=':/')}"
    yield QueuePlace(url, lambda: take_part_down(supervisor, "SQS"), AWS_ENVIRONMENT)


# boto3 requires credentials, but this server accepts any.
AWS_ENVIRONMENT = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "any") | {
    "AWS_EC2_METADATA_DISABLED": "true"
}

QUEUE_PLACES = {
    "redis": run_plain_redis,
    "redis by TLS": run_redis_by_tls,
    "sentinel": run_sentinel,
    "sqlite": use_sqlite_file,
    "sqs": run_sqs,
}
