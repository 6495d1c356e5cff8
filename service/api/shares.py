"""Each organization's share of long requests that run at once in a process.

Each organization has its own limit, so that one organization's slow requests do not reject
another's. The limit shrinks when many organizations have such requests.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

import falcon
from bson import ObjectId


class OrganizationShares:
    """The running requests of one kind, by organization.

    Args:
        most: function that returns the maximum number for each organization.
        crowded: from this number on, each organization may run one.
        problem: the description of the error beyond an organization's limit.
    """

    def __init__(
        self, most: Callable[[], int], crowded: int, problem: str, retry_after_seconds: int
    ) -> None:
        self._most = most
        self._crowded = crowded
        self._problem = problem
        self._retry_after_seconds = retry_after_seconds
        self._running: Counter[ObjectId] = Counter()
        self._guard = Lock()

    @contextmanager
    def one_of(self, organization_id: ObjectId) -> Iterator[None]:
        """Hold one of the organization's slots.

        Raises:
            falcon.HTTPServiceUnavailable: all of its slots are in use.
        """
        with self._guard:
            most = self._most() if self._running.total() < self._crowded else 1
            if self._running[organization_id] >= most:
                raise falcon.HTTPServiceUnavailable(
                    description=self._problem, retry_after=self._retry_after_seconds
                )
            self._running[organization_id] += 1
        try:
            yield
        finally:
            with self._guard:
                self._running[organization_id] -= 1
                if not self._running[organization_id]:
                    del self._running[organization_id]
