"""Rate limits per minute for each API key, and for each address without a key.

A request only counts in memory. A thread of each process adds the counts to Redis and reads the
totals of all processes, so a request never waits for Redis. While Redis is unavailable, each
process uses its own counts, and a metric counts these requests. A deployment without Redis (see
docs/queues.md) always works like that.
"""

import logging
import math
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import falcon
from cachetools import TTLCache
from limits.storage import RedisStorage
from redis.exceptions import RedisError

from config.background import Background
from config.observability.outage import Outage
from config.queues.redis_pool import pool
from config.settings import settings
from service.metrics.process import RATE_ALONE, RATE_REFUSED

log = logging.getLogger(__name__)

WINDOW_SECONDS = 60
SYNC_SECONDS = 0.2
AWAY_SECONDS = 2.0
NAMES_KEPT = 100_000
STAFF_REQUESTS_A_MINUTE = 3_000  # each open window may reload once per second
# The first two limits bound guessing. The last one covers all addresses of an account, so it is
# higher: otherwise a guesser could lock the owner out.
SIGN_INS_A_MINUTE = {"sign-in": 10, "sign-in-address": 30, "sign-in-account": 100}


@dataclass
class Window:
    """The requests under one name in the current window, in all processes."""

    ends_at: float
    count: int = 0


class RateLimit:
    """A maximum number of requests per minute under one name, in all processes together.

    Counts are exact within a process. Counts of other processes are up to 0.2 s old.
    """

    def __init__(self, storage: Any = None) -> None:
        self._storage = storage
        self._windows: TTLCache[str, Window] = TTLCache(
            NAMES_KEPT, WINDOW_SECONDS, timer=time.monotonic
        )
        self._untold: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._comparing = Background("rates", self._keep_in_step)
        self._outage = Outage(log.warning, log.info)

    def take(self, kind: str, name: str, amount: int) -> None:
        """Count one request under a name.

        Raises:
            falcon.HTTPTooManyRequests: the count exceeds the amount.
        """
        self._comparing.ensure()
        name, at = f"{kind}:{name}", time.monotonic()
        with self._guard:
            window = self._windows.get(name)
            if window is None or window.ends_at <= at:
                window = self._windows[name] = Window(at + WINDOW_SECONDS)
            window.count += 1
            self._untold[name] += 1
            count, wait = window.count, window.ends_at - at
        if count > amount:
            RATE_REFUSED.labels(kind).inc()
            raise falcon.HTTPTooManyRequests(
                description="Too many requests. Retry after the time in Retry-After.",
                retry_after=math.ceil(wait),
            )

    def forget(self, storage: Any = None) -> None:
        """Reset this process's counts, and share them through this storage, or Redis by default."""
        with self._guard:
            self._windows.clear()
            self._untold.clear()
            self._storage = storage

    def sync(self) -> None:
        """Send this process's counts to Redis, and read the totals of all processes."""
        with self._guard:
            told, self._untold = self._untold, Counter()
        if self._storage is None and not settings().rates_url:
            return
        try:
            for name, count in told.items():
                total = self._redis().incr(name, WINDOW_SECONDS, count)
                left = self._redis().get_expiry(name) - time.time()
                self._learn(name, total, left)
            self._outage.end("rate limits are shared between processes again")
        except (RedisError, OSError):
            RATE_ALONE.inc(sum(told.values()))
            self._outage.begin("Redis is unavailable: each process counts rate limits alone")

    def _learn(self, name: str, total: int, left: float) -> None:
        with self._guard:
            window = Window(time.monotonic() + left, total + self._untold[name])
            self._windows[name] = window

    def _redis(self) -> Any:
        if self._storage is None:
            self._storage = RedisStorage(
                "redis://", connection_pool=pool(settings().rates_url), key_prefix="matchback:rate"
            )
        return self._storage

    def _keep_in_step(self) -> None:
        while True:
            time.sleep(AWAY_SECONDS if self._outage.is_on else SYNC_SECONDS)
            try:
                self.sync()
            except Exception:
                log.exception("rate limits could not be shared")


rate_limit = RateLimit()


def take_as_key(key_id: object) -> None:
    """Count a request with an API key."""
    rate_limit.take("key", str(key_id), settings().key_requests_a_minute)


def take_as_stranger(address: str) -> None:
    """Count a request without valid credentials."""
    rate_limit.take("address", address, settings().address_requests_a_minute)


def take_as_staff(session_id: str) -> None:
    """Count a request of a signed-in browser."""
    rate_limit.take("staff", session_id, STAFF_REQUESTS_A_MINUTE)


def take_as_sign_in(account: str, address: str) -> None:
    """Count a sign-in attempt for the account and address, and for each of them alone."""
    names = (f"{account} {address}", address, account)
    for (kind, most), name in zip(SIGN_INS_A_MINUTE.items(), names, strict=True):
        rate_limit.take(kind, name, most)
