"""Snapshot of MongoDB, whose cluster time is the version of everything read from it.

PyMongo's sessions also read at a snapshot, but do not expose its time. The server does.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import sleep
from typing import Any

from bson import CodecOptions, Timestamp
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, OperationFailure

from jobs.warehouse.tables import to_version

# The warehouse stores UTC times without a time zone.
NAIVE_TIME_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=False)
ROWS_PER_REPLY = 5000
MAX_SNAPSHOT_ATTEMPTS = 40
SNAPSHOT_RETRY_SECONDS = 0.05
# The snapshot is older than the collection or index, or too old to read.
SNAPSHOT_UNAVAILABLE_CODE, SNAPSHOT_TOO_OLD_CODE = 246, 239
NAMESPACE_EXISTS_CODE = 48


class SnapshotUnavailable(Exception):
    """MongoDB has no time at which all collections can be read."""


@contextmanager
def suppress_too_new() -> Iterator[None]:
    """Suppress errors about a collection that a process has just created."""
    try:
        yield
    except CollectionInvalid:
        return
    except OperationFailure as error:
        if error.code not in (SNAPSHOT_UNAVAILABLE_CODE, NAMESPACE_EXISTS_CODE):
            raise


class Snapshot:
    """One moment of a database, as a majority stores it. All reads have the same time."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._database = database
        self.time = self._now()

    def _now(self) -> Timestamp:
        """Let MongoDB choose a time. Retry while the collection is too new to read."""
        first = {"find": "unexported", "limit": 1, "singleBatch": True, "projection": {"_id": 1}}
        for _ in range(MAX_SNAPSHOT_ATTEMPTS):
            with suppress_too_new():
                reply = self._database.command({**first, "readConcern": {"level": "snapshot"}})
                # MongoDB returns no time for a missing collection.
                time: Timestamp | None = reply["cursor"].get("atClusterTime")
                if time:
                    return time
                self._database.create_collection("unexported")
            sleep(SNAPSHOT_RETRY_SECONDS)
        raise SnapshotUnavailable

    @property
    def version(self) -> int:
        """Cluster time as a number that grows with time, for all readers."""
        return to_version(self.time.time, self.time.inc)

    def find(
        self,
        name: str,
        query: Mapping[str, Any],
        fields: Mapping[str, int] | None = None,
        *,
        sort: Mapping[str, int] | None = None,
        limit: int = 0,
        hint: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the documents of a collection at the snapshot's time."""
        command: dict[str, Any] = {
            "find": name,
            "filter": query,
            "projection": fields or {},
            "sort": sort or {},
            "limit": limit,
            "batchSize": ROWS_PER_REPLY,
            **({"hint": hint} if hint else {}),
        }
        return self._read(command)

    def aggregate(self, name: str, pipeline: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the results of a pipeline at the snapshot's time."""
        return self._read(
            {"aggregate": name, "pipeline": pipeline, "cursor": {"batchSize": ROWS_PER_REPLY}}
        )

    def _read(self, command: dict[str, Any]) -> Iterator[dict[str, Any]]:
        at = {"level": "snapshot", "atClusterTime": self.time}
        try:
            yield from self._database.cursor_command(
                {**command, "readConcern": at}, codec_options=NAIVE_TIME_OPTIONS
            )
        except OperationFailure as error:
            if error.code not in (SNAPSHOT_UNAVAILABLE_CODE, SNAPSHOT_TOO_OLD_CODE):
                raise
            raise SnapshotUnavailable from error
