"""A queue of wake-ups in an SQLite file, for one machine without Redis.

It is Huey's storage with two differences. It polls 20 times per second, because SQLite sends no
notifications. It also detects when the file was removed or restored from a copy. Otherwise,
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
# Another process locks the file for microseconds. If a lock lasts longer, threads wait one after
# another, and the worker must still stop within ten seconds.
SQLITE_BUSY_SECONDS = 1.0
SQLITE_CACHE_MB = 1


class SqliteQueue(WakeUpStorage, SqliteStorage):
    """One queue. Several queues can share a file."""

    def __init__(self, name: str, filename: str) -> None:
        # Each connection creates the tables. So an import opens no file, and a removed file is
        # created again.
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
        """The connection to the current file."""
        if self._conn is not None and self._opened != self._file():
            self._conn.close()
            self._conn = None
        if self._conn is None:
            self._conn = self._create_connection()
            self._opened = self._file()
        return self._conn

    def look(self) -> bytes | None:
        """Return the next message, or None after one second without one."""
        end = time.monotonic() + SQLITE_WAIT_SECONDS
        message: bytes | None
        while (message := SqliteStorage.dequeue(self)) is None and time.monotonic() < end:
            time.sleep(SQLITE_POLL_SECONDS)
        return message

    def _create_connection(self) -> Any:
        made = super()._create_connection()
        try:
            # The file survives a power cut. Its last messages may be lost, so that writes do not
            # wait.
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
