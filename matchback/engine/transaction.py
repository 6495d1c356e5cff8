"""Run a function in one MongoDB transaction, again from the start when it met another."""

from collections.abc import Callable
from typing import Any, TypeVar

from pymongo import ReadPreference, WriteConcern
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError
from pymongo.read_concern import ReadConcern

T = TypeVar("T")
ATTEMPTS = 5
DUPLICATE_KEY = 11000


def in_transaction(database: Database, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Do work(database, session, *args, **kwargs), all or nothing, acknowledged by a majority.

    PyMongo itself repeats it after a write conflict or when the primary changed, so the work must
    have no effect outside the session.

    Raises:
        PyMongoError: the database was away too long, or refused.
    """
    for attempt in range(1, ATTEMPTS + 1):
        with database.client.start_session() as session:
            try:
                return session.with_transaction(
                    lambda session: work(database, session, *args, **kwargs),
                    read_concern=ReadConcern("snapshot"),
                    write_concern=WriteConcern("majority"),
                    read_preference=ReadPreference.PRIMARY,
                )
            except (DuplicateKeyError, BulkWriteError) as error:
                # Two transactions inserted the same record, e.g. a target that comes into being
                # on demand: the second sees the first's when it looks again.
                if attempt == ATTEMPTS or not _is_duplicate(error):
                    raise
    raise AssertionError("unreachable")


def _is_duplicate(error: DuplicateKeyError | BulkWriteError) -> bool:
    if isinstance(error, DuplicateKeyError):
        return True
    codes = {problem["code"] for problem in (error.details or {}).get("writeErrors", [])}
    return codes == {DUPLICATE_KEY}
