"""The process-wide shutdown flag. Long work then ends with the current transaction.

Otherwise, a fundraiser with an endless stream of gifts would keep its worker alive. Everything left
is due, and another worker settles it.
"""

import threading

_stopping = threading.Event()  # of a process that is nobody's worker: never set


def set_stop_event(stopping: threading.Event) -> None:
    """Have this process do nothing that can be left, once this is set."""
    global _stopping  # noqa: PLW0603
    _stopping = stopping


def has_begun() -> bool:
    return _stopping.is_set()
