"""Upkeep for any job or loop: settle due records, find incorrect counters.

An application with more needs, such as groups or priorities, writes its own sweep with
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
    """Settle all due records, one batch per transaction. Return the number of settled records.

    It may run in parallel and after any crash, and a repeated run changes nothing. It also settles
    the records' targets, which the number does not include.

    Args:
        names: limit to these collections; by default, all sources of the ledger.
        keep_deleted: leave deleted records in their collections.

    Raises:
        ValueError: a collection is not a source, or does not mark due records.
        PyMongoError: MongoDB is unavailable.
        ExceptionGroup: some records could not be settled and remain due. All others are settled.
    """
    sources = _sources(ledger)
    if others := set(names) - set(sources):  # they would remain due forever
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
    """Return the sources that a change marks as due. An insert counts the other sources."""
    return [
        name
        for name in ledger.order
        if ledger.counters[name] and "due" in ledger.documents[name]._fields  # type: ignore[attr-defined]
    ]


@dataclass(frozen=True)
class _Run:
    """A run over one collection, with the failed records."""

    database: Database[Any]
    ledger: Ledger
    name: str
    keep_deleted: bool
    failed: dict[tuple[str, Any], Exception]

    def due(self, limit: int) -> list[Any]:
        """Return the IDs of the oldest due records, without failed ones."""
        rows = self.database[self.name].with_options(read_preference=ReadPreference.PRIMARY)
        put_aside = [id_ for name, id_ in self.failed if name == self.name]
        wanted = {**DUE_FILTER, "_id": {"$nin": put_aside}}
        return [row["_id"] for row in rows.find(wanted, {"_id": 1}).sort("due", 1).limit(limit)]

    def settle(self, ids: list[Any]) -> int:
        """Settle all records in one transaction. If it fails, settle each half separately."""
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
        # Read the rows again in this transaction. Some may not be due any longer.
        collection = tx.database[self.name]
        rows = list(collection.find({**DUE_FILTER, "_id": {"$in": ids}}, session=tx.session))
        if not rows:
            return 0
        settled = settle(tx, self.ledger, Changes(rows={self.name: rows}))
        for name, known in settled.items():
            deleted = [id_ for id_, row in known.items() if row.get("deleted_at") is not None]
            if deleted and not self.keep_deleted:
                self._delete(tx, name, {"_id": {"$in": deleted}})
        return len(rows)

    def _delete(self, tx: Tx, name: str, these: Mapping[str, Any]) -> None:
        tx.database[name].delete_many(these, session=tx.session)
        if (index := self.ledger.link_indexes.get(name)) is not None and index.is_written:
            tx.database[index.collection].delete_many(these, session=tx.session)


def _is_passing(error: Exception) -> bool:
    """Return whether MongoDB was unavailable, slow or busy, so that no record caused the error."""
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
    """Compare the next records of a collection at their own snapshot; see recount.py."""
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
                if page.is_last:
                    break
                last_id = page.last_id


def drifts(database: Database[Any], ledger: Ledger) -> Iterator[Drift]:
    """Yield every incorrect counter, page by page, while traffic continues.

    It reads all records. The engine's own writes keep counters correct, so another program wrote
    each counter that this function finds.
    """
    for page in compare_all(database, ledger, ((name, {}) for name in collections(ledger))):
        yield from page.drifts


def repair_drift(database: Database[Any], ledger: Ledger, drift: Drift) -> bool:
    """Correct a counter. Return whether it was still incorrect.

    Safe to run in parallel, and twice for the same drift.
    """
    return in_transaction(database, repair, ledger, drift)
