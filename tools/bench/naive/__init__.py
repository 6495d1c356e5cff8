"""The pattern as it is mostly built: one job a gift or event, each a plain `$inc`.

Told by the environment where its MongoDB and Redis are: BENCH_MONGODB_URI, BENCH_REDIS_URL.
"""

from importlib import import_module
from typing import Any

QUEUES = ("celery", "rq", "dramatiq", "huey")


def queue(name: str) -> Any:
    """A queue's module: enqueue_gift(id), enqueue_event(event), and WORKERS, its commands."""
    return import_module(f"tools.bench.naive.{name}_queue")
