"""Places for requests to providers, so that a slow provider does not occupy all threads."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from documents.sign_on.rejections import SignOnRejected

MAX_REQUESTS, MAX_REQUESTS_PER_HOST = 4, 2  # of one process; it has eight threads by default
MAX_WAIT_SECONDS = 1.0

_running: Counter[str] = Counter()
_changed = Condition()


@contextmanager
def take_slot(host: str) -> Iterator[None]:
    """Wait up to a second for a place for a request to this host.

    Raises:
        SignOnRejected: too many requests are running.
    """
    with _changed:
        if not _changed.wait_for(lambda: _is_free(host), MAX_WAIT_SECONDS):
            raise SignOnRejected("provider_busy")
        _running[host] += 1
    try:
        yield
    finally:
        with _changed:
            _running[host] -= 1
            if not _running[host]:
                del _running[host]
            _changed.notify_all()


def _is_free(host: str) -> bool:
    return _running.total() < MAX_REQUESTS and _running[host] < MAX_REQUESTS_PER_HOST
