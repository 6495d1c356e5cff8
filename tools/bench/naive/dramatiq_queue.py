"""Dramatiq with a Redis broker and defaults: one process per processor, with eight threads."""

import os
import sys
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tools.bench.naive import counting

dramatiq.set_broker(RedisBroker(url=os.environ["BENCH_REDIS_URL"]))

WORKERS = [[sys.executable, "-m", "dramatiq", __name__]]


@dramatiq.actor
def _gift(id_: str) -> None:
    counting.count_donation(id_)


@dramatiq.actor
def _event(event: dict[str, Any]) -> None:
    counting.count_event(event)


def enqueue_gift(id_: str) -> None:
    _gift.send(id_)


def enqueue_event(event: dict[str, Any]) -> None:
    _event.send(event)
