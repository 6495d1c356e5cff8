"""Execution of a function in one MongoDB transaction, with retries after write conflicts."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from pymongo import ReadPreference, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError
from pymongo.read_concern import ReadConcern

from .due import now

T = TypeVar("T")
MAX_DUPLICATE_RETRIES = 4
DUPLICATE_KEY_CODE = 11000


class Tx:
    """The context of one attempt of a transaction.

    Attributes:
        session: session for every read and write. Without a transaction, it is None or the session
            of a snapshot. Reads then see that time, and each write runs alone.
        attempt: number of earlier attempts.
    """

    __slots__ = ("_at", "attempt", "callbacks", "database", "session")

    def __init__(
        self, database: Database[Any], session: ClientSession | None = None, attempt: int = 0
    ) -> None:
        self.database = database
        self.session = session
        self.attempt = attempt
        self.callbacks: list[Callable[[], None]] = []
        self._at: datetime | None = None

    @property
    def at(self) -> datetime:
        """The time of all notes of this attempt, so that they agree. The first use sets it.

        Use it after the first read. Then everything that this transaction does not see is later, or
        conflicts with it.
        """
        if self._at is None:
            self._at = now()
        return self._at

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call this once, after the commit. A failed attempt drops its callbacks.

        Without a session, call it now, because every write is already stored.
        """
        if self.session is None:
            callback()
        else:
            self.callbacks.append(callback)

    def abort(self) -> None:
        """End the transaction without its writes. PyMongo does not retry it."""
        assert self.session
        self.session.abort_transaction()
        self.callbacks.clear()


def in_transaction(database: Database[Any], work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run work(tx, *args, **kwargs) in a transaction that a majority acknowledges.

    PyMongo repeats the work after a write conflict or a change of the primary. So the work must
    have no effect outside the session; see `Tx.on_commit`.

    Raises:
        PyMongoError: MongoDB was unavailable for too long, or rejected the work.
    """
    tx = Tx(database, attempt=-1)

    def run(session: ClientSession) -> T:
        nonlocal tx
        tx.callbacks.clear()
        tx = Tx(database, session, tx.attempt + 1)
        return work(tx, *args, **kwargs)

    try:
        done = _commit(database, run)
        for callback in tx.callbacks:
            callback()
    finally:
        # callbacks may reference this frame, and the cycle would keep all rows in memory
        tx.callbacks.clear()
    return done


def _commit(database: Database[Any], run: Callable[[ClientSession], T]) -> T:
    duplicates = 0
    while True:
        with database.client.start_session() as session:
            try:
                return session.with_transaction(
                    run,
                    read_concern=ReadConcern("snapshot"),
                    write_concern=WriteConcern("majority"),
                    read_preference=ReadPreference.PRIMARY,
                )
            except (DuplicateKeyError, BulkWriteError) as error:
                # Two transactions inserted the same record, for example a target that its first
                # counter creates. The second transaction sees that record when it starts again.
                duplicates += 1
                if duplicates > MAX_DUPLICATE_RETRIES or not _is_duplicate(error):
                    raise


def _is_duplicate(error: DuplicateKeyError | BulkWriteError) -> bool:
    if isinstance(error, DuplicateKeyError):
        return True
    codes = {problem["code"] for problem in (error.details or {}).get("writeErrors", [])}
    return codes == {DUPLICATE_KEY_CODE}
