"""Short-lived cache in each process, so that bursts do not repeat database queries.

Another process may change a value meanwhile. So each use of the cache documents the effect of a
stale value.
"""

from threading import Lock
from typing import Generic, TypeVar

from cachetools import TTLCache

K = TypeVar("K")
V = TypeVar("V")
DEFAULT_CACHE_SECONDS = 0.8  # changes and revocations by staff take effect within a second
MAX_CACHED_VALUES = 10_000


class ProcessCache(Generic[K, V]):
    """A cache that threads share. When it is full, it drops the least recently used value."""

    def __init__(
        self, seconds: float = DEFAULT_CACHE_SECONDS, most: int = MAX_CACHED_VALUES
    ) -> None:
        self._values: TTLCache[K, V] = TTLCache(most, seconds)
        self._guard = Lock()

    def get(self, key: K) -> V | None:
        """Return the value, or None if it is unknown or expired."""
        with self._guard:
            try:
                return self._values[key]  # `get` would look twice
            except KeyError:
                return None

    def put(self, key: K, value: V) -> None:
        """Store a value."""
        with self._guard:
            self._values[key] = value

    def forget(self, key: K) -> None:
        """Remove a value that this process has changed."""
        with self._guard:
            self._values.pop(key, None)

    def clear(self) -> None:
        """Remove all values."""
        with self._guard:
            self._values.clear()
