"""Inserts of a batch, with the rows that already exist."""

from mongoengine import get_db
from pymongo.errors import BulkWriteError

from config.database import await_majority
from documents.rows.collections import T, collection
from documents.storage.transaction import DUPLICATE_KEY_CODE


def insert_missing(row: type[T], rows: list[T]) -> set[int]:
    """Insert rows. Return the indexes of the rows whose unique key already exists.

    Raises:
        PyMongoError: the database is unavailable, or no majority has acknowledged the rows.
    """
    if not rows:
        return set()
    try:
        collection(get_db(), row).insert_many(rows, ordered=False)
    except BulkWriteError as error:
        problems = error.details.get("writeErrors", []) if error.details else []
        codes = {problem["code"] for problem in problems}
        # The import must not acknowledge lines that a failover could lose.
        if codes != {DUPLICATE_KEY_CODE} or error.details.get("writeConcernErrors"):
            raise
        await_majority()
        return {problem["index"] for problem in problems}
    return set()
