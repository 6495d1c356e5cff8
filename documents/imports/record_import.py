"""The common parts of all imports: batches, counts and rejected lines."""

from abc import ABC, abstractmethod
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any, Generic, Protocol, TypeVar

from bson import ObjectId
from mongoengine import get_db

from documents.imports.occurrences import OccurrenceCounter
from documents.organization import Organization
from documents.rows.collections import T, collection

LINES_PER_BATCH = 1000
MAX_REJECTED_LINES = 1000


class Line(Protocol):
    """A line that passed validation."""

    number: int


L = TypeVar("L", bound=Line)


@dataclass
class RecordImport(ABC, Generic[L]):
    """A running import. The caller adds or rejects lines, and calls `flush` at the end.

    Args:
        dry_run: whether to report the result without storing anything.

    Attributes:
        created: number of new records.
        found: number of lines whose record already exists.
        refused: the first thousand rejected lines, with their errors.
        held_out_count: number of lines whose email must not be sent.
    """

    organization_id: ObjectId
    dry_run: bool = False
    created: int = 0
    found: int = 0
    refused_count: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    held_out_count: int = 0
    _lines: list[L] = field(default_factory=list)

    def add(self, number: int, values: dict[str, Any]) -> None:
        """Add a line that passed validation.

        Raises:
            PyMongoError: the database is unavailable.
        """
        self._lines.append(self._read_line(number, values))
        if len(self._lines) >= LINES_PER_BATCH:
            self.flush()

    def refuse(self, number: int, errors: Iterable[dict[str, str]], left_out: int = 0) -> None:
        """Reject a line. The import continues, and keeps the first thousand rejected lines.

        Args:
            number: the number of the line, from 1.
            errors: the errors to list.
            left_out: the number of further errors on the line.
        """
        self.refused_count += 1
        if len(self.refused) == MAX_REJECTED_LINES and number > self.refused[-1]["line"]:
            return
        # Lines that only the database proves wrong arrive here after later lines.
        line = {"line": number, "errors": list(errors), "errors_left_out": left_out}
        insort(self.refused, line, key=itemgetter("line"))
        del self.refused[MAX_REJECTED_LINES:]

    def refuse_field(self, line: Line, name: str, detail: str, code: str = "not_found") -> None:
        """Reject a line because of one of its fields."""
        self.refuse(line.number, [{"pointer": f"/{name}", "code": code, "detail": detail}])

    @property
    def refused_left_out(self) -> int:
        """Number of rejected lines that the import counts but does not list."""
        return self.refused_count - len(self.refused)

    def flush(self) -> None:
        """Store the added lines.

        Raises:
            PyMongoError: the database is unavailable. A repeated import finds the stored records.
            NotFound: the organization is in deletion.
        """
        lines, self._lines = self._lines, []
        if lines:
            # One request can import for longer than a deletion waits for other requests.
            Organization.check_not_deleting(self.organization_id)
            self._import(lines)

    def read_by_id(self, row: type[T], ids: set[Any], *fields: str) -> Mapping[ObjectId, T]:
        """Return the organization's live records with these IDs, by ID, with these fields."""
        query = {"_id": {"$in": list(ids)}, **self.scope}
        rows = collection(get_db(), row)
        found = rows.find(query, dict.fromkeys(("_id", *fields), 1)) if ids else ()
        return {one["_id"]: one for one in found}

    @property
    def scope(self) -> dict[str, Any]:
        """The condition for the organization's live records."""
        return {"organization_id": self.organization_id, "deleted_at": None}

    @cached_property
    def _occurrences(self) -> OccurrenceCounter:
        """The keys of all lines so far, if the import needs them."""
        return OccurrenceCounter()

    def _count_new(self, keys: Sequence[bytes]) -> None:
        """Count the lines that an actual run would store. An earlier line may have the same key."""
        first = sum(number == 1 for number in self._occurrences.number(keys))
        self.created += first
        self.found += len(keys) - first

    @abstractmethod
    def _read_line(self, number: int, values: dict[str, Any]) -> L:
        """Return a line from its values."""

    @abstractmethod
    def _import(self, lines: list[L]) -> None:
        """Find or store the records of a batch, and count or reject its lines."""
