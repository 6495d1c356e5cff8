"""Snapshots for a recount. Several pages share one, because each has a cost."""

import time
from collections.abc import Mapping
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import OperationFailure

from . import recount
from .caches import Ledger
from .recount import Comparison, Page
from .transaction import Tx

# By default, MongoDB keeps 300 s of history (minSnapshotHistoryWindowInSeconds).
SNAPSHOT_LIFETIME_SECONDS = 60.0
LOST_SNAPSHOT_CODES = (239, 246)  # SnapshotTooOld, SnapshotUnavailable
PAGE_SHRINK_FACTOR = 4


class SnapshotComparer:
    """Compares pages, and takes a new snapshot when the last one is old."""

    def __init__(self, database: Database[Any], ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger
        self._session: ClientSession | None = None
        self._comparison: Comparison | None = None
        self._taken_at = 0.0
        self._largest: int | None = None

    def page(
        self, name: str, query: Mapping[str, Any], after: Any = None, limit: int | None = None
    ) -> Page:
        """Compare the next records of a collection. Shrink the page if it outlasts a snapshot.

        Raises:
            OperationFailure: MongoDB cannot keep the snapshot while one record is compared.
        """
        limit = min(
            limit or recount.COMPARED_ROWS_PER_PAGE, self._largest or recount.COMPARED_ROWS_PER_PAGE
        )
        while True:
            try:
                return self._current().page(name, query, after, limit)
            except OperationFailure as error:
                self.close()
                if error.code not in LOST_SNAPSHOT_CODES or limit == 1:
                    raise
                limit = self._largest = max(limit // PAGE_SHRINK_FACTOR, 1)

    def close(self) -> None:
        """Release the snapshot."""
        if self._session is not None:
            self._session.end_session()
        self._session = self._comparison = None

    def _current(self) -> Comparison:
        if (
            self._comparison is None
            or time.monotonic() > self._taken_at + SNAPSHOT_LIFETIME_SECONDS
        ):
            self.close()
            self._session = self._database.client.start_session(snapshot=True)
            self._comparison = Comparison(Tx(self._database, self._session), self._ledger)
            self._taken_at = time.monotonic()
        return self._comparison
