"""A MongoDB in memory for tests: one server without transactions, so reads are never stale."""

from contextlib import nullcontext
from typing import Any

import mongomock


class MemoryClient(mongomock.MongoClient):  # type: ignore[type-arg]
    """mongomock with sessions that have no effect on order. A transaction fails, as intended."""

    def start_session(self, *_: Any, **__: Any) -> Any:
        """Return no session, because reads from a single server are never stale."""
        return nullcontext()
