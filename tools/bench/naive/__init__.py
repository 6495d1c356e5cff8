"""Naive design, for comparison: one job for each gift or event, each a plain `$inc`.

BENCH_MONGODB_URI and BENCH_REDIS_URL name its MongoDB and Redis.
"""

from importlib import import_module
from typing import Any

QUEUE_NAMES = ("celery", "rq", "dramatiq", "huey")


def import_queue(name: str) -> Any:
    """Import a queue's module, with `enqueue_gift(id)`, `enqueue_event(event)` and `WORKERS`.

    `WORKERS` lists the commands of its workers.
    """
    return import_module(f"tools.bench.naive.{name}_queue")
