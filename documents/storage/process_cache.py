"""Values that a process remembers for a short time, so that bursts do not ask the database again.

Another process may change a value meanwhile, so each cache states what a late notice costs.
"""

from threading import Lock
from typing import Generic, TypeVar

from cachetools import TTLCache

K = TypeVar("K")
V = TypeVar("V")
DEFAULT_CACHE_SECONDS = 0.8  # what staff change or revoke takes effect within a second
MAX_CACHED_VALUES = 10_000


class ProcessCache(Generic[K, V]):
    """A cache that threads share. The value that is used least recently makes room for another."""

    def __init__(
        self, seconds: float = DEFAULT_CACHE_SECONDS, most: int = MAX_CACHED_VALUES
    ) -> None:
        self._values: TTLCache[K, V] = TTLCache(most, seconds)
        self._guard = Lock()

    def get(self, key: K) -> V | None:
        """Return the value; None if it is unknown or no longer fresh."""
        with self._guard:
            return self._values.get(key)

    def put(self, key: K, value: V) -> None:
        """Remember a value."""
        with self._guard:
            self._values[key] = value

    def forget(self, key: K) -> None:
        """Forget a value that this process has changed."""
        with self._guard:
            self._values.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        with self._guard:
            self._values.clear()
