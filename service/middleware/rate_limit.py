"""Rate limits per minute for each API key, and for each address without a key.

A request only counts in memory. A thread of each process adds the counts to Redis and reads the
totals of all processes, so a request never waits for Redis. While Redis is unavailable, each
process uses its own counts, and a metric counts these requests. A deployment without Redis (see
docs/how-to/queues.md) always works like that.
"""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Mapping
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
STAFF_REQUESTS_A_MINUTE = 3_000  # each open window may reload once per second
# The first two limits bound guessing. The last one covers all addresses of an account, so it is
# higher: otherwise a guesser could lock the owner out.
SIGN_INS_A_MINUTE = {"sign-in": 10, "sign-in-address": 30, "sign-in-account": 100}
# Nothing can be guessed on the way to a provider, and a whole office may have one client address.
SIGN_ONS_A_MINUTE = {"sign-on": 10, "sign-on-address": 300, "sign-on-account": 100}
# The mails of one person are limited as well; see documents/mail/password_mails.py.
PASSWORD_RESETS_A_MINUTE = {"reset": 5, "reset-address": 10, "reset-account": 100}


@dataclass
class RateWindow:
    """The requests under one name in the current window, in all processes."""

    ends_at: float
    count: int = 0


class RateLimit:
    """A maximum number of requests per minute under one name, in all processes together.

    Counts are exact within a process. Counts of other processes are up to 0.2 s old.
    """

    def __init__(self, storage: Any = None) -> None:
        self._storage = storage
        self._windows: TTLCache[str, RateWindow] = TTLCache(
            MAX_RATE_NAMES, RATE_WINDOW_SECONDS, timer=time.monotonic
        )
        self._untold: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._syncing = threading.Lock()
        self._comparing = BackgroundThread("rates", self._keep_in_step)
        self._outage = Outage(log.warning, log.info)

    def take(self, kind: str, name: str, amount: int) -> None:
        """Count one request under a name.

        Raises:
            falcon.HTTPTooManyRequests: the count exceeds the amount.
        """
        self._comparing.ensure_started()
        name, at = f"{kind}:{name}", time.monotonic()
        with self._guard:
            try:
                window = self._windows[name]  # `get` would look twice
            except KeyError:
                window = None
            if window is None or window.ends_at <= at:
                window = self._windows[name] = RateWindow(at + RATE_WINDOW_SECONDS)
            window.count += 1
            self._untold[name] += 1
            count, wait = window.count, window.ends_at - at
        if count > amount:
            RATE_LIMITED_REQUESTS.labels(kind).inc()
            raise falcon.HTTPTooManyRequests(
                description="Too many requests. Retry after the time in Retry-After.",
                retry_after=math.ceil(wait),
            )

    def forget(self, storage: Any = None) -> None:
        """Reset this process's counts, and share them through this storage, or Redis by default.

        It waits for a running `sync`, which would add earlier counts to the new storage.
        """
        with self._syncing, self._guard:
            self._windows.clear()
            self._untold.clear()
            self._storage = storage

    def sync(self) -> None:
        """Send this process's counts to Redis, and read the totals of all processes."""
        with self._syncing:
            self._sync()

    def _sync(self) -> None:
        with self._guard:
            told, self._untold = self._untold, Counter()
        if self._storage is None and not get_settings().rates_url:
            return
        try:
            for name, count in told.items():
                total = self._redis().incr(name, RATE_WINDOW_SECONDS, count)
                left = self._redis().get_expiry(name) - time.time()
                self._learn(name, total, left)
            self._outage.end("rate limits are shared between processes again")
        except (RedisError, OSError):
            UNSHARED_RATE_REQUESTS.inc(sum(told.values()))
            self._outage.begin("Redis is unavailable: each process counts rate limits alone")

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
                log.exception("rate limits could not be shared")


rate_limit = RateLimit()


def count_key_request(key_id: str) -> None:
    """Count a request with an API key."""
    rate_limit.take("key", key_id, get_settings().key_requests_a_minute)


def count_anonymous_request(address: str) -> None:
    """Count a request without valid credentials."""
    rate_limit.take("address", address, get_settings().address_requests_a_minute)


def count_staff_request(session_id: str) -> None:
    """Count a request of a signed-in browser."""
    rate_limit.take("staff", session_id, STAFF_REQUESTS_A_MINUTE)


def count_sign_in(account: str, address: str) -> None:
    """Count a sign-in attempt for the account and address, and for each of them alone."""
    _count_guess(SIGN_INS_A_MINUTE, account, address)


def count_sign_on(account: str, address: str) -> None:
    """Count a request for the way to a provider, as for a sign-in attempt."""
    _count_guess(SIGN_ONS_A_MINUTE, account, address)


def count_password_reset(account: str, address: str) -> None:
    """Count a request for a reset link, for the account and address, and for each of them alone."""
    _count_guess(PASSWORD_RESETS_A_MINUTE, account, address)


def _count_guess(limits: Mapping[str, int], account: str, address: str) -> None:
    names = (f"{account} {address}", address, account)
    for (kind, most), name in zip(limits.items(), names, strict=True):
        rate_limit.take(kind, name, most)
