"""The base of all queues: put a message in, take a message out.

Huey schedules, revokes and stores nothing here, so these features cost no request or transaction.
One thread of a process polls. More pollers would add load without finding more messages.
"""

import threading
from typing import Any

from config.optional_imports import hide_module

# See config/queue.py.
with hide_module("psycopg"):
    from huey.storage import BaseStorage

POLLER_TURN_SECONDS = 1.0  # how long a thread waits before it sees whether it is to stop


class WakeUpStorage(BaseStorage):
    """Mixed into a storage; `look` waits for a message, for a few seconds at most."""

    blocking = True
    priority = False

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._turn = threading.Lock()

    def look(self) -> bytes | None:
        """The next message, or None if there was none for a while."""
        raise NotImplementedError

    def dequeue(self) -> bytes | None:
        """The next message, or None."""
        if not self._turn.acquire(timeout=POLLER_TURN_SECONDS):
            return None
        try:
            return self.look()
        finally:
            self._turn.release()

    def read_schedule(self, ts: Any) -> list[bytes]:
        """Nothing is ever scheduled."""
        return []

    def peek_many(self, keys: Any) -> dict[str, bytes]:
        """Nothing is ever revoked."""
        return {}

    def delete_data(self, key: Any) -> bool:
        """There is nothing."""
        return False
