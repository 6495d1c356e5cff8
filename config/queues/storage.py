"""The base of all queues: put a message in, take a message out.

Huey schedules, revokes and stores nothing here, so these features cost no request or transaction.
One thread per process polls. More pollers would add load without finding more messages.
"""

import threading
from typing import Any

from config.optional_imports import hide_module

# See config/queue.py.
with hide_module("psycopg"):
    from huey.storage import BaseStorage

POLLER_TURN_SECONDS = 1.0  # maximum wait of a thread before it checks whether it must stop


class WakeUpStorage(BaseStorage):
    """A mix-in for a Huey storage. `look` waits a few seconds at most for a message."""

    blocking = True
    priority = False

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._turn = threading.Lock()

    def look(self) -> bytes | None:
        """Return the next message, or None after a short wait."""
        raise NotImplementedError

    def dequeue(self) -> bytes | None:
        """Return the next message, or None."""
        if not self._turn.acquire(timeout=POLLER_TURN_SECONDS):
            return None
        try:
            return self.look()
        finally:
            self._turn.release()

    def read_schedule(self, ts: Any) -> list[bytes]:
        """Return no messages, because nothing is scheduled."""
        return []

    def peek_many(self, keys: Any) -> dict[str, bytes]:
        """Return no data, because nothing is revoked."""
        return {}

    def delete_data(self, key: Any) -> bool:
        """Return False, because no data is stored."""
        return False
