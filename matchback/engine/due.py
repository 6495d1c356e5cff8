"""Due mark: the write that changes a source also marks it as due.

No crash separates a change from its mark. So a later search for marks (see upkeep.py) finds
everything that is not counted yet. A queue cannot guarantee this.
"""

from datetime import UTC, datetime
from typing import Any

from mongoengine import DateTimeField, ListField

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
