"""Due mark: the write that changes a source also marks it as due.

No crash separates a change from its mark. So a later search for marks (see upkeep.py) finds
everything that is not counted yet. A queue cannot guarantee this.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mongoengine import DateTimeField, ListField
from pymongo import WriteConcern
from pymongo.database import Database

# A partial index holds only the few rows that have the field.
DUE_FILTER = {"due": {"$type": "date"}}


def due_index(*fields: str) -> dict[str, Any]:
    """Return the index that finds due records, e.g. by group: due_index("fundraiser_id")."""
    return {
        "fields": [*fields, "due"],
        "name": "_".join(["due", *fields]),
        "partialFilterExpression": DUE_FILTER,
    }


def now() -> datetime:
    """Return the mark for writes other than `save`: `query.update(state="draft", due=now())`."""
    return datetime.now(UTC)


def remove_marks(
    database: Database[Any], name: str, rows: Iterable[Mapping[str, Any]], fields: Sequence[str]
) -> None:
    """Remove the due marks of settled rows, except rows that have changed since.

    A row has changed if one of the fields has, or if its mark is newer than all these rows. One
    member acknowledges the write, because its loss only makes the rows settled again.

    Raises:
        PyMongoError: MongoDB is unavailable. The rows stay due.
    """
    alike: defaultdict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        alike[tuple(row.get(field) for field in fields)].append(row)
    collection = database[name].with_options(write_concern=WriteConcern(w=1))
    for values, same in alike.items():
        these = {
            "_id": {"$in": [row["_id"] for row in same]},
            "due": {"$lte": max(row["due"] for row in same)},
            **dict(zip(fields, values, strict=True)),
        }
        collection.update_many(these, {"$unset": {"due": ""}}, hint=[("_id", 1)])


class Source:
    """Mixin for a document that is counted. Put it before `Document`.

    - `counted`: contribution that counters already include.
    - `due`: time of a change that may affect the contribution.
    - `deleted_at`: time of deletion, after which the contribution is nothing.
    """

    counted = ListField()
    due = DateTimeField()
    deleted_at = DateTimeField()

    def save(self, *args: Any, **kwargs: Any) -> Any:
        self.due = now()
        return super().save(*args, **kwargs)  # type: ignore[misc]

    def delete(self, signal_kwargs: Any = None, **write_concern: Any) -> None:
        """Mark the document as deleted. It stays stored, because settling needs its `counted`.

        Settling subtracts it from the counters and deletes it, in one transaction.
        """
        self.deleted_at = now()
        self.save(signal_kwargs=signal_kwargs, write_concern=write_concern or None)
