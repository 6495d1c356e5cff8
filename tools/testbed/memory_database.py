"""A MongoDB in memory for tests: one server without transactions, so a read is never behind."""

from contextlib import nullcontext
from typing import Any

import mongomock


class MemoryClient(mongomock.MongoClient):  # type: ignore[type-arg]
    """mongomock, with sessions that order nothing. A transaction fails, as it must."""

    def start_session(self, *_: Any, **__: Any) -> Any:
        """Return no session, because one server without a majority is never behind."""
        return nullcontext()
