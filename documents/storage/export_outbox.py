"""The export outbox: the changes that the warehouse does not have yet.

The transaction that settles also notes what it wrote: one small record of IDs here. A mark in each
row would have to be removed again, in hot documents that every batch increments. Records that are
saved without being counted (an organization, a fundraiser, a user) carry their own mark,
`export_due`. jobs/warehouse/export.py finds and removes both.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from blinker import Signal
from bson import ObjectId
from mongoengine import DateTimeField, ListField, get_db

from config.settings import get_settings
from documents.storage.base import Document
from documents.values.time import now
from matchback.engine import Tx

IdsByCollection = Mapping[str, Iterable[Any]]
# What is exported of what is counted, and what carries its own mark.
NOTED_COLLECTIONS = ("mailings", "emails", "events", "donations")
MARKED_COLLECTIONS = ("organizations", "fundraisers", "users")
EXPORT_MARK_FIELD = "export_due"
EXPORT_DUE_FILTER: dict[str, Any] = {EXPORT_MARK_FIELD: {"$type": "date"}}
EXPORT_INDEX: dict[str, Any] = {
    "fields": [EXPORT_MARK_FIELD],
    "partialFilterExpression": EXPORT_DUE_FILTER,
}

export_noted = Signal()


class Unexported(Document):
    """The ids that one transaction wrote, by collection."""

    at = DateTimeField(required=True)
    mailings = ListField()
    emails = ListField()
    events = ListField()
    donations = ListField()

    meta = {"collection": "unexported", "auto_create_index": False}


class Exported:
    """Mixed into records that are exported and not counted: every save marks them."""

    export_due = DateTimeField()

    def save(self, *args: Any, **kwargs: Any) -> Any:
        for name, at in build_export_mark().items():
            setattr(self, name, at)
        saved = super().save(*args, **kwargs)  # type: ignore[misc]
        if has_warehouse():
            export_noted.send()
        return saved


def has_warehouse() -> bool:
    """Whether there is a warehouse."""
    return bool(get_settings().warehouse_url)


def build_export_mark() -> dict[str, datetime]:
    """The mark that a write of an exported record sets; nothing where there is no warehouse."""
    return {EXPORT_MARK_FIELD: now()} if has_warehouse() else {}


def note_writes(tx: Tx, ids: IdsByCollection) -> None:
    """Note what a transaction writes, by collection. What is not exported may be among it."""
    if not has_warehouse():
        return
    written = {name: list(ids[name]) for name in NOTED_COLLECTIONS if ids.get(name)}
    if any(written.values()):
        entry = {"_id": ObjectId(), "at": now(), **written}
        tx.database.unexported.insert_one(entry, session=tx.session)
        export_noted.send()


def note_targets(tx: Tx, targets: Sequence[tuple[str, Any]]) -> None:
    """Note what the engine wrote: pairs of a collection and an id."""
    ids: dict[str, list[Any]] = {}
    for name, id_ in targets:
        ids.setdefault(name, []).append(id_)
    note_writes(tx, ids)


def find_oldest_change() -> datetime | None:
    """Since when the oldest change waits; None when nothing does."""
    found = get_db().unexported.find_one({}, {"at": 1}, sort=[("_id", 1)])
    times = [found["at"]] if found else []
    for name in MARKED_COLLECTIONS:
        row = get_db()[name].find_one(
            EXPORT_DUE_FILTER, {EXPORT_MARK_FIELD: 1}, sort=[(EXPORT_MARK_FIELD, 1)]
        )
        times += [row[EXPORT_MARK_FIELD]] if row else []
    return min(times, default=None)


def is_export_complete() -> bool:
    """Whether the warehouse knows everything."""
    return find_oldest_change() is None


def measure_export_lag() -> float:
    """How far the warehouse is behind what is counted."""
    since = find_oldest_change()
    return max(0.0, (now() - since).total_seconds()) if since else 0.0
