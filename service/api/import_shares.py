"""Each organization's share of the imports that run at a time in a process.

An import waits in a thread for its client's bytes. Each organization has its own bound, so the slow
imports of one never make another's fail. The bound shrinks when many organizations import.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import falcon
from bson import ObjectId

MAX_IMPORT_THREADS = 256  # in a process; the process creates a thread when an import needs it
CROWDED_IMPORT_COUNT = (
    MAX_IMPORT_THREADS // 2
)  # from this many imports on, each organization runs only one
IMPORT_RETRY_AFTER_SECONDS = 5


class ImportShares:
    """The imports that run now, by organization."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: Counter[ObjectId] = Counter()
        self._guard = Lock()

    @contextmanager
    def one_of(self, organization_id: ObjectId) -> Iterator[None]:
        """Hold one of the organization's places.

        Raises:
            falcon.HTTPServiceUnavailable: all of its places are taken.
        """
        with self._guard:
            most = self._most if self._running.total() < CROWDED_IMPORT_COUNT else 1
            if self._running[organization_id] >= most:
                raise falcon.HTTPServiceUnavailable(
                    description="Too many imports of this organization are running. Retry later.",
                    retry_after=IMPORT_RETRY_AFTER_SECONDS,
                )
            self._running[organization_id] += 1
        try:
            yield
        finally:
            with self._guard:
                self._running[organization_id] -= 1
                if not self._running[organization_id]:
                    del self._running[organization_id]
