"""Each organization's share of the imports that run at once in a process.

An import blocks a thread while it waits for its client's bytes. Each organization has its own
limit, so that one organization's slow imports do not reject another's. The limit shrinks when many
organizations import.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from threading import Lock

import falcon
from bson import ObjectId

from config.settings import get_settings

MAX_IMPORT_THREADS = 256  # per process, created on demand
CROWDED_IMPORT_COUNT = (
    MAX_IMPORT_THREADS // 2
)  # with this many imports, each organization may run one
IMPORT_RETRY_AFTER_SECONDS = 5


class ImportShares:
    """The running imports of all kinds of records, by organization.

    Args:
        most: how many imports each organization may run; by default, half as many as a process has
            threads for other requests.
    """

    def __init__(self, most: int | None = None) -> None:
        self._given_most = most
        self._running: Counter[ObjectId] = Counter()
        self._guard = Lock()

    @cached_property
    def _most(self) -> int:
        return self._given_most or max(1, get_settings().web_threads // 2)

    @contextmanager
    def one_of(self, organization_id: ObjectId) -> Iterator[None]:
        """Hold one of the organization's slots.

        Raises:
            falcon.HTTPServiceUnavailable: all of its slots are in use.
        """
        with self._guard:
            most = self._most if self._running.total() < CROWDED_IMPORT_COUNT else 1
            if self._running[organization_id] >= most:
                raise falcon.HTTPServiceUnavailable(
                    description="Your organization is running too many imports. Retry later.",
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
