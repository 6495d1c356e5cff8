"""Reading MongoDB as it was at one moment, whose cluster time is the version of what was read.

Sessions of PyMongo's read at a snapshot, too, but do not tell its time; the server does.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bson import CodecOptions, Timestamp
from pymongo.database import Database

from jobs.warehouse.tables import version_of

# Times as the warehouse wants them: UTC, without saying so.
NAIVE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=False)
ROWS_A_REPLY = 5000


class Snapshot:
    """One moment of a database, a majority's: everything read through it is of the same time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        first = {"find": "unexported", "limit": 1, "singleBatch": True, "projection": {"_id": 1}}
        reply = database.command({**first, "readConcern": {"level": "snapshot"}})
        self.time: Timestamp = reply["cursor"]["atClusterTime"]

    @property
    def version(self) -> int:
        """Grows with time, whoever reads."""
        return version_of(self.time.time, self.time.inc)

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
            "batchSize": ROWS_A_REPLY,
        }
        return self._read(command)

    def aggregate(self, name: str, pipeline: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """What a pipeline answers."""
        return self._read(
            {"aggregate": name, "pipeline": pipeline, "cursor": {"batchSize": ROWS_A_REPLY}}
        )

    def _read(self, command: dict[str, Any]) -> Iterator[dict[str, Any]]:
        at = {"level": "snapshot", "atClusterTime": self.time}
        found: Any = self._database.cursor_command(
            {**command, "readConcern": at}, codec_options=NAIVE
        )
        yield from found
