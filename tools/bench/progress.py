"""The speed at which a backlog shrinks, measured from outside the workers."""

import time
from collections.abc import Callable
from dataclasses import dataclass

PROGRESS_POLL_SECONDS = 0.2
HANG_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class DrainResult:
    """The result of waiting. `rate` is in items per second; `left` items were never done."""

    rate: float
    left: int


def wait_for_drain(
    left: Callable[[], int], gives_up_seconds: float = HANG_TIMEOUT_SECONDS
) -> DrainResult:
    """Wait until nothing is left, or until nothing has changed for this many seconds.

    Before the first progress it waits longer, because workers start slowly on a busy machine. The
    rate begins at the first visible progress, so it excludes the start of a worker. If everything
    was done by then, the rate includes the start.
    """
    total = seen = left()
    begun = time.perf_counter()
    first: tuple[float, int] | None = None
    last = (begun, total)
    while seen:
        time.sleep(PROGRESS_POLL_SECONDS)
        at, seen = time.perf_counter(), left()
        if seen != last[1]:
            first, last = first or (at, seen), (at, seen)
        elif at - last[0] > (gives_up_seconds if first else HANG_TIMEOUT_SECONDS):
            break
    if first is None or last[0] == first[0]:
        first = (begun, total)
    took = last[0] - first[0]
    return DrainResult((first[1] - last[1]) / took if took else 0.0, seen)
