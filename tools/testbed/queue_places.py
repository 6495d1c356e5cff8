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
WORD = "horse battery/@:" + secrets.token_hex(8)  # a URL must spell it otherwise
SERVICE = "giving"


@dataclass
class Place:
    """Where wake-ups wait."""

    url: str
    away: Callable[[], AbstractContextManager[None]]
    environment: dict[str, str] = field(default_factory=dict)


def kill(supervisor: Supervisor, name: str) -> Part:
    """End a server at once; what it was."""
    part = next(part for part in supervisor.parts if part.name == name)
    assert part.process
    os.killpg(part.process.pid, signal.SIGKILL)
    part.process.wait(10)
    supervisor.parts.remove(part)
    return part


@contextmanager
def killed(supervisor: Supervisor, name: str) -> Iterator[None]:
    """Gone, and begun anew with nothing in it."""
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
    """With a password, and TLS whose certificate is checked."""
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
    """A master, a replica, and a Sentinel that lets the replica take over when the master dies."""
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
        wait_until(lambda: watcher.sentinel_slaves(SERVICE), "the replica known")

        @contextmanager
        def away() -> Iterator[None]:
            """The master dies, for good."""
            kill(supervisor, "first")
            yield
            wait_until(lambda: replica.info("replication")["role"] == "master", "a failover")

        login = f":{quote(WORD, safe='')}@"
        # The first of the Sentinels is not there: any may be asked.
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
    """A file, and no Redis anywhere."""
    file = folder / "queue.sqlite"

    @contextmanager
    def away() -> Iterator[None]:
        """Somebody holds the file for long, and takes it away in the end."""
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
    """What speaks like SQS; when it comes back, its queues are gone."""
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


# Who asks for what does not matter there; boto3 will not ask without.
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
