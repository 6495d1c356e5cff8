"""Places for requests to providers, so that a slow provider does not occupy all threads.

Each organization has its own share, because its admin chooses the provider. A host or a port would
not do: a hostile provider can have many.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Condition

from bson import ObjectId

from documents.sign_on.rejections import SignOnRejected

MAX_REQUESTS, MAX_REQUESTS_EACH = 4, 2  # of one process; it has eight threads by default
MAX_WAITING_EACH = 2
MAX_WAIT_SECONDS = 1.0
MAX_LOOKUPS, MAX_LOOKUPS_EACH = 8, 2

_owner: ContextVar[ObjectId | None] = ContextVar("sign_on_owner", default=None)


class Slots:
    """Places that organizations share.

    Args:
        most: places of the process.
        most_each: places that one organization can take.
    """

    def __init__(self, most: int, most_each: int) -> None:
        self._most, self._most_each = most, most_each
        self._running: Counter[ObjectId | None] = Counter()
        self._waiting: Counter[ObjectId | None] = Counter()
        self._changed = Condition()

    def take(self, owner: ObjectId | None, wait_seconds: float = 0.0) -> None:
        """Take a place for an organization.

        Raises:
            SignOnRejected: no place becomes free in time, or others of the organization wait.
        """
        with self._changed:
            if not self._is_free(owner) and not self._wait(owner, wait_seconds):
                raise SignOnRejected("provider_busy")
            self._running[owner] += 1

    def free(self, owner: ObjectId | None) -> None:
        """Return a place."""
        with self._changed:
            self._running[owner] -= 1
            if not self._running[owner]:
                del self._running[owner]
            self._changed.notify_all()

    def _wait(self, owner: ObjectId | None, seconds: float) -> bool:
        if seconds <= 0 or self._waiting[owner] >= MAX_WAITING_EACH:
            return False
        self._waiting[owner] += 1
        try:
            return self._changed.wait_for(lambda: self._is_free(owner), seconds)
        finally:
            self._waiting[owner] -= 1
            if not self._waiting[owner]:
                del self._waiting[owner]

    def _is_free(self, owner: ObjectId | None) -> bool:
        return self._running.total() < self._most and self._running[owner] < self._most_each


_requests = Slots(MAX_REQUESTS, MAX_REQUESTS_EACH)
LOOKUPS = Slots(MAX_LOOKUPS, MAX_LOOKUPS_EACH)


@contextmanager
def count_requests_for(organization_id: ObjectId) -> Iterator[None]:
    """Count the requests of this block for the organization's share."""
    before = _owner.set(organization_id)
    try:
        yield
    finally:
        _owner.reset(before)


def find_owner() -> ObjectId | None:
    """Return the organization whose share the present requests use; None outside of a block."""
    return _owner.get()


@contextmanager
def take_slot() -> Iterator[None]:
    """Wait up to a second for a place for a request of the present organization.

    Raises:
        SignOnRejected: too many requests are running.
    """
    owner = find_owner()
    _requests.take(owner, MAX_WAIT_SECONDS)
    try:
        yield
    finally:
        _requests.free(owner)
