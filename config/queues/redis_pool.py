"""Connection pools for Redis: for a named server, or for the master that Sentinel reports."""

from typing import Any

from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, parse_url
from redis.retry import Retry
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from config.queues import address

# This must exceed the consumer's blocking read. Otherwise an idle consumer would take silence for a
# failure. Requests do not wait for it, because a thread in jobs/wakeups.py enqueues.
REDIS_TIMEOUT_SECONDS = 3


def make_pool(url: str) -> ConnectionPool:
    """Return a pool of connections that time out after three seconds."""
    if address.read_scheme(url) in address.SENTINEL_SCHEMES:
        return _behind_sentinel(address.read_sentinel_address(url))
    return ConnectionPool.from_url(url, **_patience())


def _patience() -> dict[str, Any]:
    return {
        "socket_timeout": REDIS_TIMEOUT_SECONDS,
        "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),  # the sweep is the retry
    }


def _behind_sentinel(at: address.SentinelAddress) -> ConnectionPool:
    master = parse_url(at.master_url)
    del master["host"]
    plain = master.pop("connection_class", None) is not SSLConnection
    tls = {} if plain else {name: value for name, value in master.items() if name[:4] == "ssl_"}
    login = {"username": at.username, "password": at.password}
    asked = Sentinel(at.hosts, sentinel_kwargs={"ssl": not plain, **tls, **login, **_patience()})
    kind = SentinelManagedConnection if plain else SentinelManagedSSLConnection
    return SentinelConnectionPool(at.service, asked, connection_class=kind, **_patience(), **master)
