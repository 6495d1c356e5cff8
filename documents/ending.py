"""Whether this process is to end: then work that lasts ends with the transaction in hand.

A fundraiser whose gifts never end would else keep a worker alive for as long. What is left is due,
and whoever is there next settles it.
"""

import threading

_begun = threading.Event()


def begin() -> None:
    """From now on, do nothing that can be left. For the rest of this process."""
    _begun.set()


def has_begun() -> bool:
    return _begun.is_set()
