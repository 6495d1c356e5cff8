"""The export job, and the wake-ups that start it. As in settling, a wake-up carries no truth."""

import time
from functools import cache
from typing import Any

from config.queue import warehouse_huey
from config.settings import get_settings
from jobs.wakeups import wakeup_buffer
from jobs.warehouse.engine import open_warehouse
from jobs.warehouse.exporter import Exporter

# The queue and its job: what the warehouse worker runs.
__all__ = ["export_changes", "warehouse_huey"]

# What is noted within this time is exported together; a wake-up each would do nothing more.
EXPORT_DELAY_SECONDS = 0.2


@cache
def get_exporter() -> Exporter:
    """The one of this process."""
    return Exporter(open_warehouse(get_settings().warehouse_url))


@warehouse_huey.task()
def export_changes(reason: str) -> None:
    """Bring the warehouse up to date."""
    time.sleep(EXPORT_DELAY_SECONDS)  # the transaction that noted it commits, others join it
    get_exporter().run()


class _Waker:
    """At most one wake-up in that time from each process."""

    def __init__(self) -> None:
        self._last = 0.0

    def wake(self) -> None:
        if time.monotonic() - self._last >= EXPORT_DELAY_SECONDS:
            self._last = time.monotonic()
            wakeup_buffer.put(export_changes, "noted")


_waker = _Waker()


def wake_exporter(sender: Any, **_: Any) -> None:
    """Wake the exporter. Never raises nor waits: what is noted is found anyway."""
    _waker.wake()
