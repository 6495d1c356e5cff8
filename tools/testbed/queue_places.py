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
from service.local.servers import LOOPBACK
from service.local.supervisor import Part, Supervisor
from tools.testbed.stack import wait_until
from tools.testbed.tls import certificate, terminating

AWAY_SECONDS = 1.5
WORD = "horse battery/@:" + secrets.token_hex(8)  # a URL must encode it
SERVICE = "giving"


@dataclass
class Place:
    """The place where wake-ups wait."""

    url: str
    away: Callable[[], AbstractContextManager[None]]
    environment: dict[str, str] = field(default_factory=dict)


def kill(supervisor: Supervisor, name: str) -> Part:
    """Kill a server at once, and return its part."""
    part = next(part for part in supervisor.parts if part.name == name)
    assert part.process
    os.killpg(part.process.pid, signal.SIGKILL)
    part.process.wait(10)
    supervisor.parts.remove(part)
    return part


@contextmanager
def killed(supervisor: Supervisor, name: str) -> Iterator[None]:
    """Kill a server for the block, then restart it without data."""
    part = kill(supervisor, name)
    yield
    supervisor.start(part)


def answers(port: int, password: str | None = None) -> Callable[[], bool]:
    def look() -> bool:
        try:
            with redis.Redis(LOOPBACK, port, password=password, socket_timeout=0.5) as probe:
                return bool(probe.ping())
        except redis.RedisError:
            return False

    return look


def redis_part(folder: Path, name: str, port: int, *more: str, password: str = WORD) -> Part:
    home = folder / name
    home.mkdir()
    command = [servers.redis_binary(), "--port", str(port), "--bind", LOOPBACK]
    command += ["--dir", str(home), "--save", "", "--appendonly", "no", "--requirepass", password]
    return Part(name, [*command, *more], folder / f"{name}.log", ready=answers(port, password))


@contextmanager
def plain_redis(folder: Path, supervisor: Supervisor) -> Iterator[Place]:
    port = servers.free_port()
    supervisor.start(servers.redis_part(folder, port))
    yield Place(servers.redis_url(port), lambda: killed(supervisor, "Redis"))


@contextmanager
def redis_by_tls(folder: Path, supervisor: Supervisor) -> Iterator[Place]:
    """Start a Redis with a password, behind TLS with a certificate that clients check."""
    inner, outer = servers.free_port(), servers.free_port()
    supervisor.start(redis_part(folder, "guarded", inner))
    files = certificate(folder)
    url = f"rediss://:{quote(WORD, safe='')}@{LOOPBACK}:{outer}/0?ssl_ca_certs={files[0]}"
    with terminating(files, outer, inner) as tls:

        @contextmanager
        def away() -> Iterator[None]:
            tls.is_away = True
            tls.cut()
            yield
            tls.is_away = False

        yield Place(url, away)


@contextmanager
def sentinel(folder: Path, supervisor: Supervisor) -> Iterator[Place]:
    """Start a master, a replica, and a Sentinel that promotes the replica when the master dies."""
    ports = [servers.free_port() for _ in range(3)]
    copying = ("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0")
    supervisor.start(redis_part(folder, "first", ports[0], *copying, "--masterauth", WORD))
    follows = ("--replicaof", LOOPBACK, str(ports[0]), "--masterauth", WORD)
    supervisor.start(redis_part(folder, "second", ports[1], *copying, *follows))
    own_word = secrets.token_hex(8)
    supervisor.start(_watcher(folder, ports, own_word))
    with (
        redis.Redis(LOOPBACK, ports[1], password=WORD) as replica,
        redis.Redis(LOOPBACK, ports[2], password=own_word) as watcher,
    ):
        wait_until(lambda: replica.info("replication")["master_link_status"] == "up", "a copy")
        wait_until(lambda: watcher.sentinel_slaves(SERVICE), "Sentinel to find the replica")

        @contextmanager
        def away() -> Iterator[None]:
            """Kill the master permanently."""
            kill(supervisor, "first")
            yield
            wait_until(lambda: replica.info("replication")["role"] == "master", "a failover")

        login = f":{quote(WORD, safe='')}@"
        # No Sentinel listens on the first port, because clients may ask any of them.
        hosts = f"{LOOPBACK}:{servers.free_port()},{LOOPBACK}:{ports[2]}"
        url = f"redis+sentinel://{login}{hosts}/{SERVICE}/0?sentinel_password={own_word}"
        yield Place(url, away)


def _watcher(folder: Path, ports: list[int], own_word: str) -> Part:
    file = folder / "sentinel.conf"
    file.write_text(
        f"port {ports[2]}\nbind {LOOPBACK}\ndir {folder}\nrequirepass {own_word}\n"
        f"sentinel monitor {SERVICE} {LOOPBACK} {ports[0]} 1\n"
        f'sentinel auth-pass {SERVICE} "{WORD}"\n'
        f"sentinel down-after-milliseconds {SERVICE} 500\n"
        f"sentinel failover-timeout {SERVICE} 2000\n"
    )
    command = [servers.redis_binary(), str(file), "--sentinel"]
    return Part("watcher", command, folder / "watcher.log", ready=answers(ports[2], own_word))


@contextmanager
def sqlite_file(folder: Path, supervisor: Supervisor) -> Iterator[Place]:
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

    yield Place(f"sqlite:///{file}", away)


@contextmanager
def sqs(folder: Path, supervisor: Supervisor) -> Iterator[Place]:
    """Start a server that speaks the protocol of SQS. A restart removes its queues."""
    port = servers.free_port()
    endpoint = f"http://{LOOPBACK}:{port}"

    def is_ready() -> bool:
        try:
            return httpx.get(f"{endpoint}/moto-api/", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    server = [str(Path(sys.executable).with_name("moto_server")), "-H", LOOPBACK, "-p", str(port)]
    supervisor.start(Part("SQS", server, folder / "sqs.log", ready=is_ready))
    url = f"sqs://eu-west-1/test?endpoint_url={quote(endpoint, safe=':/')}"
    yield Place(url, lambda: killed(supervisor, "SQS"), AWS)


# boto3 requires credentials, but this server accepts any.
AWS = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "any") | {
    "AWS_EC2_METADATA_DISABLED": "true"
}

PLACES = {
    "redis": plain_redis,
    "redis by TLS": redis_by_tls,
    "sentinel": sentinel,
    "sqlite": sqlite_file,
    "sqs": sqs,
}
