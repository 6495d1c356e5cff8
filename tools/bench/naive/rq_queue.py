"""RQ: two workers, one per processor. Each forks for every job, which is RQ's default."""

import os
import sys
from functools import cache
from typing import Any

import redis
from rq import Queue

from tools.bench.naive import counting

WORKERS = 2 * [
    [sys.executable, "-m", "rq.cli", "worker", "--url", os.environ["BENCH_REDIS_URL"], "--quiet"]
]


@cache
def _queue() -> Queue:
    return Queue(connection=redis.Redis.from_url(os.environ["BENCH_REDIS_URL"]))


def enqueue_gift(id_: str) -> None:
    _queue().enqueue(counting.count_donation, id_, result_ttl=0)


def enqueue_event(event: dict[str, Any]) -> None:
    _queue().enqueue(counting.count_event, event, result_ttl=0)
