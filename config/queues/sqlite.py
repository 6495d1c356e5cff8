"""A queue of wake-ups in an SQLite file, for one machine without Redis.

It is Huey's own storage with two differences. It polls twenty times a second, because SQLite sends
no notifications. And it notices when the file was removed or restored from a copy. Without that,
processes would continue in a file that no other process can see.
"""

import os
import time
from typing import Any

from config.optional_imports import hide_module
from config.queues.storage import WakeUpStorage

with hide_module("psycopg"):
    from huey.storage import SqliteStorage

SQLITE_POLL_SECONDS = 0.05
SQLITE_WAIT_SECONDS = 1.0
# Another process has the file for microseconds. All threads may wait so long one after another
# when it is held for longer, and the worker is to stop within ten seconds.
SQLITE_BUSY_SECONDS = 1.0
SQLITE_CACHE_MB = 1


class SqliteQueue(WakeUpStorage, SqliteStorage):
    """One queue; several may share a file."""

    def __init__(self, name: str, filename: str) -> None:
        # The tables are made with each connection: importing this opens no file, and a file that
        # is gone is made anew.
        super().__init__(
            name,
            filename,
            cache_mb=SQLITE_CACHE_MB,
            timeout=SQLITE_BUSY_SECONDS,
            create_tables=False,
        )
        self._conn: Any
        self._opened: tuple[int, int] | None = None

    @property
    def conn(self) -> Any:
        """The connection, to the file that is there now."""
        if self._conn is not None and self._opened != self._file():
            self._conn.close()
            self._conn = None
        if self._conn is None:
            self._conn = self._create_connection()
            self._opened = self._file()
        return self._conn

    def look(self) -> bytes | None:
        """The next message, or None after a second without one."""
        end = time.monotonic() + SQLITE_WAIT_SECONDS
        message: bytes | None
        while (message := SqliteStorage.dequeue(self)) is None and time.monotonic() < end:
            time.sleep(SQLITE_POLL_SECONDS)
        return message

    def _create_connection(self) -> Any:
        made = super()._create_connection()
        try:
            # The file survives a power cut; its last messages need not, and no write waits.
            made.execute("pragma synchronous=normal")
            for sql in self.ddl:
                made.execute(sql)
        except Exception:
            made.close()
            raise
        return made

    def _file(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.filename)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino
