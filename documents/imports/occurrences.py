"""Numbers of equal keys in an import.

SQLite holds the keys in a temporary file, so that the memory of an import does not grow with its
lines. The file disappears with the process.
"""

import sqlite3
from collections.abc import Sequence

TEMPORARY_DATABASE = ""  # SQLite's name for a database in a temporary file
CACHE_KIBIBYTES = 2000


class OccurrenceCounter:
    """The keys so far, with their numbers of occurrences."""

    def __init__(self) -> None:
        # Autocommit, so that only `number` begins transactions.
        self._database = sqlite3.connect(
            TEMPORARY_DATABASE, isolation_level=None, check_same_thread=False
        )
        for setting in ("journal_mode = OFF", f"cache_size = -{CACHE_KIBIBYTES}"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute(
            "CREATE TABLE occurrences (key BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID"
        )

    def number(self, keys: Sequence[bytes]) -> list[int]:
        """Return, for each key in order, the number of its occurrence, from 1."""
        self._database.execute("BEGIN")
        latest = {key: self._read(key) for key in set(keys)}
        numbers = []
        for key in keys:
            latest[key] += 1
            numbers.append(latest[key])
        self._database.executemany("REPLACE INTO occurrences VALUES (?, ?)", latest.items())
        self._database.execute("COMMIT")
        return numbers

    def _read(self, key: bytes) -> int:
        found = self._database.execute("SELECT number FROM occurrences WHERE key = ?", (key,))
        row: tuple[int] | None = found.fetchone()
        return row[0] if row else 0
