"""Whether this process is to end: then work that lasts ends with the transaction in hand.

A fundraiser whose gifts never end would else keep a worker alive for as long. What is left is due,
and whoever is there next settles it.
"""

import threading

_stopping = threading.Event()  # of a process that is nobody's worker: never set


def at(stopping: threading.Event) -> None:
    """Have this process do nothing that can be left, once this is set."""
    global _stopping  # noqa: PLW0603
    _stopping = stopping


def has_begun() -> bool:
    return _stopping.is_set()
