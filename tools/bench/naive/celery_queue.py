"""Celery with a Redis broker and default settings, as its tutorial sets it up."""

import os
import sys
from typing import Any

from celery import Celery

from tools.bench.naive import counting

app = Celery("naive", broker=os.environ["BENCH_REDIS_URL"])
app.conf.task_ignore_result = True

WORKERS = [
    [sys.executable, "-m", "celery", "-A", __name__, "worker", "--loglevel", "WARNING"],
]


@app.task
def _gift(id_: str) -> None:
    counting.count_donation(id_)


@app.task
def _event(event: dict[str, Any]) -> None:
    counting.count_event(event)


def enqueue_gift(id_: str) -> None:
    _gift.delay(id_)


def enqueue_event(event: dict[str, Any]) -> None:
    _event.delay(event)
