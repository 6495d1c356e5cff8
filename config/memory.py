"""Memory settings for long-running processes: Python's garbage collector and glibc's arenas."""

import ctypes
import gc

COLLECTOR_THRESHOLDS = (50_000, 5, 5)
M_ARENA_MAX = -8  # from glibc's malloc.h
MAX_ARENAS = 2


def tune_collector() -> None:
    """Look for cycles less often, and never among what was loaded. Called once all is loaded.

    Python's default looks after every 700 new objects. A batch of a thousand events makes tens of
    thousands, and looking among all of them was a fifth of the time of counting events.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def limit_arenas() -> None:
    """Let threads share glibc's arenas. Called before there are threads; forks inherit it.

    By default each thread gets an arena of its own, up to eight times the processors, and each
    keeps what the largest request needed. Python's own lock lets hardly two allocate at once.
    Another C library has no such arenas, and then this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, MAX_ARENAS)
