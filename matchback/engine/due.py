"""The due mark: a source that changed says so itself, in the same write.

No crash separates a change from its mark. So a later search for marks (see upkeep.py) finds
everything that is not counted yet. A queue cannot promise this.
"""

from datetime import UTC, datetime
from typing import Any

from mongoengine import DateTimeField, ListField

# Partial indexes hold only the rows that have the field: what is due is nearly nothing.
DUE_FILTER = {"due": {"$type": "date"}}


def due_index(*fields: str) -> dict[str, Any]:
    """The index by which what is due is found, e.g. by group: due_index("fundraiser_id")."""
    return {
        "fields": [*fields, "due"],
        "name": "_".join(["due", *fields]),
        "partialFilterExpression": DUE_FILTER,
    }


def now() -> datetime:
    """The mark itself, for writes that are no save: `query.update(state="draft", due=now())`."""
    return datetime.now(UTC)


class Source:
    """Mixed into a document that is counted, before `Document`: what the engine keeps of it.

    `counted` was applied to counters; `due` says that it may be worth something else by now;
    `deleted_at` makes it worth nothing.
    """

    counted = ListField()
    due = DateTimeField()
    deleted_at = DateTimeField()

    def save(self, *args: Any, **kwargs: Any) -> Any:
        self.due = now()
        return super().save(*args, **kwargs)  # type: ignore[misc]

    def delete(self, signal_kwargs: Any = None, **write_concern: Any) -> None:
        """Mark it deleted. Its note of what it counted is needed until that is taken back.

        Settling takes it out of the counters and out of the collection, in one transaction.
        """
        self.deleted_at = now()
        self.save(signal_kwargs=signal_kwargs, write_concern=write_concern or None)
