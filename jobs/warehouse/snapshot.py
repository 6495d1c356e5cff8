"""A snapshot of MongoDB, whose cluster time is the version of everything read from it.

Sessions of PyMongo also read at a snapshot, but do not expose its time. The server does.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import sleep
from typing import Any

from bson import CodecOptions, Timestamp
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, OperationFailure

from jobs.warehouse.tables import to_version

# Times as the warehouse wants them: UTC, without saying so.
NAIVE_TIME_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=False)
ROWS_PER_REPLY = 5000
MAX_SNAPSHOT_ATTEMPTS = 40
SNAPSHOT_RETRY_SECONDS = 0.05
# A collection or index was made after the time that is read at; or the time is too long ago.
SNAPSHOT_UNAVAILABLE_CODE, SNAPSHOT_TOO_OLD_CODE = 246, 239
NAMESPACE_EXISTS_CODE = 48


class SnapshotUnavailable(Exception):
    """MongoDB gives no moment to read at, just now."""


@contextmanager
def suppress_too_new() -> Iterator[None]:
    """Go on where a collection was made just now, by us or by another."""
    try:
        yield
    except CollectionInvalid:
        return
    except OperationFailure as error:
        if error.code not in (SNAPSHOT_UNAVAILABLE_CODE, NAMESPACE_EXISTS_CODE):
            raise


class Snapshot:
    """One moment of a database, a majority's: everything read through it is of the same time."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._database = database
        self.time = self._now()

    def _now(self) -> Timestamp:
        """The server chooses a time; where the collection is too new to read, in a moment."""
        first = {"find": "unexported", "limit": 1, "singleBatch": True, "projection": {"_id": 1}}
        for _ in range(MAX_SNAPSHOT_ATTEMPTS):
            with suppress_too_new():
                reply = self._database.command({**first, "readConcern": {"level": "snapshot"}})
                # Of a collection that is not there, MongoDB tells no time.
                time: Timestamp | None = reply["cursor"].get("atClusterTime")
                if time:
                    return time
                self._database.create_collection("unexported")
            sleep(SNAPSHOT_RETRY_SECONDS)
        raise SnapshotUnavailable

    @property
    def version(self) -> int:
        """Grows with time, whoever reads."""
        return to_version(self.time.time, self.time.inc)

    def find(
        self,
        name: str,
        query: Mapping[str, Any],
        fields: Mapping[str, int] | None = None,
        *,
        sort: Mapping[str, int] | None = None,
        limit: int = 0,
    ) -> Iterator[dict[str, Any]]:
        """The documents of a collection that there were."""
        command: dict[str, Any] = {
            "find": name,
            "filter": query,
            "projection": fields or {},
            "sort": sort or {},
            "limit": limit,
            "batchSize": ROWS_PER_REPLY,
        }
        return self._read(command)

    def aggregate(self, name: str, pipeline: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """What a pipeline answers."""
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
