"""Process-wide shutdown flag. Long work ends after the current transaction.

Otherwise, a fundraiser with constant gifts would keep its worker alive. All remaining records are
due, and another worker settles them.
"""

import threading

_stopping = threading.Event()  # never set in processes other than workers


def set_stop_event(stopping: threading.Event) -> None:
    """Set the event that makes long work in this process stop."""
    global _stopping  # noqa: PLW0603
    _stopping = stopping


def has_begun() -> bool:
    return _stopping.is_set()
