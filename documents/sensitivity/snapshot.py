"""Reads as of one time, which a later process can continue.

PyMongo's snapshot sessions choose their time themselves, so another process cannot open one again.
"""

from typing import Any

from bson.timestamp import Timestamp
from mongoengine import get_db
from pymongo.database import Database
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

LOST_SNAPSHOT_CODES = (239, 246)  # SnapshotTooOld, SnapshotUnavailable


class SnapshotReadConcern(ReadConcern):
    """Read concern of all reads that see the same time."""

    def __init__(self, at: Timestamp) -> None:
        super().__init__("snapshot")
        self._at = at

    @property
    def document(self) -> dict[str, Any]:
        return {**super().document, "atClusterTime": self._at}


def take_snapshot() -> Timestamp:
    """Return the latest time that a majority of the nodes has."""
    find = {"find": "sensitivity_runs", "limit": 1, "projection": {"_id": 1}}
    answer = get_db().command({**find, "readConcern": {"level": "snapshot"}})
    at: Timestamp = answer["cursor"]["atClusterTime"]
    return at


def open_snapshot(at: Timestamp) -> Database[Any]:
    """Return the database as it stood at a time. MongoDB keeps about five minutes."""
    database: Database[Any] = get_db().with_options(read_concern=SnapshotReadConcern(at))
    return database


def is_lost(error: OperationFailure) -> bool:
    """Return whether MongoDB does not keep the snapshot any more."""
    return error.code in LOST_SNAPSHOT_CODES
