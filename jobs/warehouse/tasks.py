"""Export job, and the wake-ups that start it. A wake-up carries no data."""

import time
from functools import cache
from typing import Any

from config.queue import warehouse_huey
from config.settings import get_settings
from jobs.wakeups import wakeup_buffer
from jobs.warehouse.engine import open_warehouse
from jobs.warehouse.exporter import Exporter

# The queue and its job, as the warehouse worker runs them.
__all__ = ["export_changes", "warehouse_huey"]

# Changes within this time are exported together, so more wake-ups would be useless.
EXPORT_DELAY_SECONDS = 0.2


@cache
def get_exporter() -> Exporter:
    """Return the exporter of this process."""
    return Exporter(open_warehouse(get_settings().warehouse_url))


@warehouse_huey.task()
def export_changes(reason: str) -> None:
    """Bring the warehouse up to date."""
    time.sleep(EXPORT_DELAY_SECONDS)  # the transaction commits, and other changes join
    get_exporter().run()


class _Waker:
    """A limit of one wake-up per process in each interval."""

    def __init__(self) -> None:
        self._last = 0.0

    def wake(self) -> None:
        if time.monotonic() - self._last >= EXPORT_DELAY_SECONDS:
            self._last = time.monotonic()
            wakeup_buffer.put(export_changes, "noted")


_waker = _Waker()


def wake_exporter(sender: Any, **_: Any) -> None:
    """Wake the exporter. Never raise or wait, because the exporter finds the notes anyway."""
    _waker.wake()
