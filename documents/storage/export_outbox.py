"""Export outbox: changes that the warehouse does not have yet.

The transaction that settles also notes the IDs that it wrote, in one small record here. A mark in
each row would need a second write to documents that every batch increments. Organizations,
fundraisers and users are saved without being counted, so they carry a mark, `export_due`.
jobs/warehouse/export.py finds and removes both.
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
# Collections that settling notes, and collections whose rows carry a mark.
NOTED_COLLECTIONS = ("mailings", "emails", "events", "donations")
MARKED_COLLECTIONS = ("organizations", "fundraisers", "users")
# A note can also name deleted rows of the latter, because their mark goes with them.
EXPORTED_COLLECTIONS = (*NOTED_COLLECTIONS, *MARKED_COLLECTIONS)
EXPORT_MARK_FIELD = "export_due"
EXPORT_DUE_FILTER: dict[str, Any] = {EXPORT_MARK_FIELD: {"$type": "date"}}
EXPORT_INDEX: dict[str, Any] = {
    "fields": [EXPORT_MARK_FIELD],
    "partialFilterExpression": EXPORT_DUE_FILTER,
}

export_noted = Signal()


class Unexported(Document):
    """The IDs that one transaction wrote, by collection."""

    at = DateTimeField(required=True)
    mailings = ListField()
    emails = ListField()
    events = ListField()
    donations = ListField()
    # only rows that the deletion of an organization removed
    organizations = ListField()
    fundraisers = ListField()
    users = ListField()

    meta = {"collection": "unexported", "auto_create_index": False}


class Exported:
    """Mixin for records that are exported but not counted. Every save marks them."""

    export_due = DateTimeField()

    def save(self, *args: Any, **kwargs: Any) -> Any:
        for name, at in build_export_mark().items():
            setattr(self, name, at)
        saved = super().save(*args, **kwargs)  # type: ignore[misc]
        if has_warehouse():
            export_noted.send()
        return saved


def has_warehouse() -> bool:
    """Return whether a warehouse is configured."""
    return bool(get_settings().warehouse_url)


def build_export_mark() -> dict[str, datetime]:
    """Return the mark of a changed record, or nothing without a warehouse."""
    return {EXPORT_MARK_FIELD: now()} if has_warehouse() else {}


def note_writes(tx: Tx, ids: IdsByCollection) -> None:
    """Note the IDs that a transaction writes, by collection. Ignore collections without export."""
    if not has_warehouse():
        return
    written = {name: list(ids[name]) for name in NOTED_COLLECTIONS if ids.get(name)}
    if any(written.values()):
        _note(tx, written)


def note_deletions(tx: Tx, name: str, ids: Sequence[Any]) -> None:
    """Note rows that a transaction deletes, so that the warehouse gets tombstones of them."""
    if ids and name in EXPORTED_COLLECTIONS and has_warehouse():
        _note(tx, {name: list(ids)})


def _note(tx: Tx, written: Mapping[str, list[Any]]) -> None:
    entry = {"_id": ObjectId(), "at": now(), **written}
    tx.database.unexported.insert_one(entry, session=tx.session)
    export_noted.send()


def note_targets(tx: Tx, targets: Sequence[tuple[str, Any]]) -> None:
    """Note the engine's writes, given as pairs of a collection and an ID."""
    ids: dict[str, list[Any]] = {}
    for name, id_ in targets:
        ids.setdefault(name, []).append(id_)
    note_writes(tx, ids)


def find_oldest_change() -> datetime | None:
    """Return the time of the oldest change that is not exported, or None."""
    found = get_db().unexported.find_one({}, {"at": 1}, sort=[("_id", 1)])
    times = [found["at"]] if found else []
    for name in MARKED_COLLECTIONS:
        row = get_db()[name].find_one(
            EXPORT_DUE_FILTER, {EXPORT_MARK_FIELD: 1}, sort=[(EXPORT_MARK_FIELD, 1)]
        )
        times += [row[EXPORT_MARK_FIELD]] if row else []
    return min(times, default=None)


def is_export_complete() -> bool:
    """Return whether the warehouse has every change."""
    return find_oldest_change() is None


def measure_export_lag() -> float:
    """Return the age in seconds of the oldest change that is not exported; 0 if there is none."""
    since = find_oldest_change()
    return max(0.0, (now() - since).total_seconds()) if since else 0.0
