"""Plain Huey: two consumers, one per processor, with eight threads each."""

import os
import sys
from typing import Any

from huey import RedisHuey

from tools.bench.naive import counting

huey = RedisHuey("naive", url=os.environ["BENCH_REDIS_URL"], results=False)

WORKERS = 2 * [
    [sys.executable, "-m", "huey.bin.huey_consumer", f"{__name__}.huey", "--workers", "8", "-q"],
]


@huey.task()
def _gift(id_: str) -> None:
    counting.count_donation(id_)


@huey.task()
def _event(event: dict[str, Any]) -> None:
    counting.count_event(event)


def enqueue_gift(id_: str) -> None:
    _gift(id_)


def enqueue_event(event: dict[str, Any]) -> None:
    _event(event)
