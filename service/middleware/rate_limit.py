"""Rate limits for each API key, and for each address without one, in requests a minute.

A request only counts in memory. A thread of each process adds the counts to Redis and reads what
all processes have seen, so a request never waits for Redis. While Redis is unavailable, each
process uses its own counts, and a metric counts these requests. A deployment without Redis (see
docs/how-to/queues.md) always works like that.
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

from config.background import BackgroundThread
from config.observability.outage import Outage
from config.queues.redis_pool import make_pool
from config.settings import get_settings
from service.metrics.process import RATE_LIMITED_REQUESTS, UNSHARED_RATE_REQUESTS

log = logging.getLogger(__name__)

RATE_WINDOW_SECONDS = 60
RATE_SYNC_SECONDS = 0.2
REDIS_RETRY_SECONDS = 2.0
MAX_RATE_NAMES = 100_000
STAFF_REQUESTS_A_MINUTE = 3_000  # each open window may load its page once a second
# To guess; and, so that nobody keeps others out by guessing, more for an account from everywhere.
SIGN_INS_A_MINUTE = {"sign-in": 10, "sign-in-address": 30, "sign-in-account": 100}


@dataclass
class RateWindow:
    """Requests under one name since its window began, here and as far as others told."""

    ends_at: float
    count: int = 0


class RateLimit:
    """At most so many requests a minute under one name, in all processes together.

    Exact within a process; across processes what the others saw in the last 0.2 s is missing.
    """

    def __init__(self, storage: Any = None) -> None:
        self._storage = storage
        self._windows: TTLCache[str, RateWindow] = TTLCache(
            MAX_RATE_NAMES, RATE_WINDOW_SECONDS, timer=time.monotonic
        )
        self._untold: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._comparing = BackgroundThread("rates", self._keep_in_step)
        self._outage = Outage(log.warning, log.info)

    def take(self, kind: str, name: str, amount: int) -> None:
        """Count one request under a name.

        Raises:
            falcon.HTTPTooManyRequests: there were more than the amount.
        """
        self._comparing.ensure_started()
        name, at = f"{kind}:{name}", time.monotonic()
        with self._guard:
            window = self._windows.get(name)
            if window is None or window.ends_at <= at:
                window = self._windows[name] = RateWindow(at + RATE_WINDOW_SECONDS)
            window.count += 1
            self._untold[name] += 1
            count, wait = window.count, window.ends_at - at
        if count > amount:
            RATE_LIMITED_REQUESTS.labels(kind).inc()
            raise falcon.HTTPTooManyRequests(
                description="Too many requests; try again later.", retry_after=math.ceil(wait)
            )

    def forget(self, storage: Any = None) -> None:
        """Count from nothing, in this process, and compare through this storage, or Redis."""
        with self._guard:
            self._windows.clear()
            self._untold.clear()
            self._storage = storage

    def sync(self) -> None:
        """Tell Redis what was counted here, and learn what was counted elsewhere."""
        with self._guard:
            told, self._untold = self._untold, Counter()
        if self._storage is None and not get_settings().rates_url:
            return
        try:
            for name, count in told.items():
                total = self._redis().incr(name, RATE_WINDOW_SECONDS, count)
                left = self._redis().get_expiry(name) - time.time()
                self._learn(name, total, left)
            self._outage.end("rates are in step")
        except (RedisError, OSError):
            UNSHARED_RATE_REQUESTS.inc(sum(told.values()))
            self._outage.begin("rates are counted by each process alone")

    def _learn(self, name: str, total: int, left: float) -> None:
        with self._guard:
            window = RateWindow(time.monotonic() + left, total + self._untold[name])
            self._windows[name] = window

    def _redis(self) -> Any:
        if self._storage is None:
            self._storage = RedisStorage(
                "redis://",
                connection_pool=make_pool(get_settings().rates_url),
                key_prefix="matchback:rate",
            )
        return self._storage

    def _keep_in_step(self) -> None:
        while True:
            time.sleep(REDIS_RETRY_SECONDS if self._outage.is_on else RATE_SYNC_SECONDS)
            try:
                self.sync()
            except Exception:
                log.exception("rates could not be compared")


rate_limit = RateLimit()


def count_key_request(key_id: object) -> None:
    """Count a request of an API key's."""
    rate_limit.take("key", str(key_id), get_settings().key_requests_a_minute)


def count_anonymous_request(address: str) -> None:
    """Count a request without valid credentials."""
    rate_limit.take("address", address, get_settings().address_requests_a_minute)


def count_staff_request(session_id: str) -> None:
    """Count a request of a browser that is signed in."""
    rate_limit.take("staff", session_id, STAFF_REQUESTS_A_MINUTE)


def count_sign_in(account: str, address: str) -> None:
    """Count a try to sign in: for an account from an address, and for either alone."""
    names = (f"{account} {address}", address, account)
    for (kind, most), name in zip(SIGN_INS_A_MINUTE.items(), names, strict=True):
        rate_limit.take(kind, name, most)
