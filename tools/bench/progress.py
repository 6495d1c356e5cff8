"""The speed at which a backlog shrinks, seen from outside."""

import time
from collections.abc import Callable
from dataclasses import dataclass

PROGRESS_POLL_SECONDS = 0.2
HANG_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class DrainResult:
    """What came of waiting. `rate` is of items a second; `left` were never done."""

    rate: float
    left: int


def wait_for_drain(
    left: Callable[[], int], gives_up_seconds: float = HANG_TIMEOUT_SECONDS
) -> DrainResult:
    """Wait until nothing is left, or until nothing has changed for so long.

    Before the first progress it waits longer: a worker on a busy machine takes its time to start.
    The rate is from the first progress that is seen, so the start of a worker is no part of it,
    unless all was done before the second look.
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
