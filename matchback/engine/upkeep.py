"""Upkeep for any job or loop: settle due records, find incorrect counters.

An application with more needs, such as groups or priorities, writes its own sweep from
`in_transaction` and `settle`. Matchback's sweep is jobs/sweep.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pymongo import ReadPreference
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, PyMongoError

from .caches import Ledger
from .due import DUE_FILTER
from .recount import Drift, Page, collections
from .repair import repair
from .settle import Changes, settle
from .snapshots import SnapshotComparer
from .transaction import Tx, in_transaction

DUE_ROWS_PER_BATCH = 250
# Source: `src/mongo/base/error_codes.yml` in MongoDB's repository.
TRANSACTION_TOO_LARGE_CODE = 257  # TransactionTooLarge
LONG_TRANSACTION_CODES = frozenset([50, TRANSACTION_TOO_LARGE_CODE, 262, 290])  # time limits
BUSY_SERVER_CODES = frozenset(
    [24, 46, 112, 175, 237, 239, 246, 251, 365, 402, 11600, 11601, 11602, 14031]
)
TRANSIENT_LABELS = (
    "TransientTransactionError",
    "UnknownTransactionCommitResult",
    "RetryableWriteError",
)


def settle_due(
    database: Database[Any],
    ledger: Ledger,
    *names: str,
    batch: int = DUE_ROWS_PER_BATCH,
    keep_deleted: bool = False,
) -> int:
    """Settle what is due, a batch in a transaction, until nothing is. Returns how many it took.

    Safe to run twice, at once, and after any crash; running it again changes nothing. What these
    count towards is settled along with them, and not in the number.

    Args:
        names: only these collections; all sources of the ledger unless said.
        keep_deleted: leave what is marked as deleted in its collection.

    Raises:
        ValueError: a collection that is no source, or does not mark what is due.
        PyMongoError: the database is away.
        ExceptionGroup: why some could not be settled, and remain due. All others are settled.
    """
    sources = _sources(ledger)
    if others := set(names) - set(sources):  # they would remain due for ever
        raise ValueError(f"no sources: {', '.join(sorted(others))}")
    failed: dict[tuple[str, Any], Exception] = {}
    done = 0
    for name in names or sources:
        run = _Run(database, ledger, name, keep_deleted, failed)
        while ids := run.due(batch):
            done += run.settle(ids)
    if failed:
        which = ", ".join(f"{name} {id_}" for name, id_ in failed)
        raise ExceptionGroup(f"not settled: {which}", list(failed.values()))
    return done


def _sources(ledger: Ledger) -> list[str]:
    """What is marked when it changes; what is counted by being stored is not."""
    return [
        name
        for name in ledger.order
        if ledger.counters[name] and "due" in ledger.documents[name]._fields  # type: ignore[attr-defined]
    ]


@dataclass(frozen=True)
class _Run:
    """Settling a collection, with what failed on the way."""

    database: Database[Any]
    ledger: Ledger
    name: str
    keep_deleted: bool
    failed: dict[tuple[str, Any], Exception]

    def due(self, limit: int) -> list[Any]:
        """The ids that have waited the longest, of those that have not failed."""
        rows = self.database[self.name].with_options(read_preference=ReadPreference.PRIMARY)
        put_aside = [id_ for name, id_ in self.failed if name == self.name]
        wanted = {**DUE_FILTER, "_id": {"$nin": put_aside}}
        return [row["_id"] for row in rows.find(wanted, {"_id": 1}).sort("due", 1).limit(limit)]

    def settle(self, ids: list[Any]) -> int:
        """Settle all in one transaction, or halves when one record or the size makes it fail."""
        try:
            return in_transaction(self.database, self._settle, ids)
        except Exception as error:
            half = len(ids) // 2
            can_shrink = half and _is_too_long(error)
            is_too_large = not half and getattr(error, "code", None) == TRANSACTION_TOO_LARGE_CODE
            if _is_passing(error) and not (can_shrink or is_too_large):
                raise
            if half:
                return self.settle(ids[:half]) + self.settle(ids[half:])
            self.failed[self.name, ids[0]] = error
            return 0

    def _settle(self, tx: Tx, ids: list[Any]) -> int:
        # Read once more: only what is due still, and as this transaction sees it.
        collection = tx.database[self.name]
        rows = list(collection.find({**DUE_FILTER, "_id": {"$in": ids}}, session=tx.session))
        if not rows:
            return 0
        settled = settle(tx, self.ledger, Changes(rows={self.name: rows}))
        for name, known in settled.items():
            deleted = [id_ for id_, row in known.items() if row.get("deleted_at") is not None]
            if deleted and not self.keep_deleted:
                tx.database[name].delete_many({"_id": {"$in": deleted}}, session=tx.session)
        return len(rows)


def _is_passing(error: Exception) -> bool:
    """Return whether the database was unavailable, slow or busy: no fault of a record's."""
    if not isinstance(error, PyMongoError):
        return False
    if isinstance(error, ConnectionFailure) or error.timeout or _is_too_long(error):
        return True
    return (
        any(map(error.has_error_label, TRANSIENT_LABELS))
        or getattr(error, "code", None) in BUSY_SERVER_CODES
    )


def _is_too_long(error: Exception) -> bool:
    return getattr(error, "code", None) in LONG_TRANSACTION_CODES


def compare_page(
    database: Database[Any],
    ledger: Ledger,
    name: str,
    query: Mapping[str, Any],
    *,
    after: Any = None,
    limit: int | None = None,
) -> Page:
    """Compare the next records of a collection at a snapshot of their own; see recount.py."""
    with closing(SnapshotComparer(database, ledger)) as snapshots:
        return snapshots.page(name, query, after, limit)


def compare_all(
    database: Database[Any], ledger: Ledger, queries: Iterable[tuple[str, Mapping[str, Any]]]
) -> Iterator[Page]:
    """Compare all records of these collections that match, page by page."""
    with closing(SnapshotComparer(database, ledger)) as snapshots:
        for name, query in queries:
            last_id = None
            while (page := snapshots.page(name, query, last_id)).size:
                yield page
                last_id = page.last_id


def drifts(database: Database[Any], ledger: Ledger) -> Iterator[Drift]:
    """Return every incorrect counter, found page by page while traffic goes on.

    The cost is that of reading everything. Counters that only the engine writes are correct, so
    something else wrote those that this finds.
    """
    for page in compare_all(database, ledger, ((name, {}) for name in collections(ledger))):
        yield from page.drifts


def repair_drift(database: Database[Any], ledger: Ledger, drift: Drift) -> bool:
    """Correct a counter. Return whether it was still incorrect.

    Several processes may repair at once, and a finding may be repaired twice.
    """
    return in_transaction(database, repair, ledger, drift)
