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

from config.settings import settings
from documents.storage.base import Document
from documents.values.time import now
from matchback.engine import Tx

Ids = Mapping[str, Iterable[Any]]
# What is exported of what is counted, and what carries its own mark.
NOTED = ("mailings", "emails", "events", "donations")
MARKED = ("organizations", "fundraisers", "users")
MARK = "export_due"
EXPORT_DUE: dict[str, Any] = {MARK: {"$type": "date"}}
EXPORT_INDEX: dict[str, Any] = {"fields": [MARK], "partialFilterExpression": EXPORT_DUE}

noted = Signal()


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
        for name, at in mark().items():
            setattr(self, name, at)
        saved = super().save(*args, **kwargs)  # type: ignore[misc]
        if is_on():
            noted.send()
        return saved


def is_on() -> bool:
    """Whether there is a warehouse."""
    return bool(settings().warehouse_url)


def mark() -> dict[str, datetime]:
    """The mark that a write of an exported record sets; nothing where there is no warehouse."""
    return {MARK: now()} if is_on() else {}


def note(tx: Tx, ids: Ids) -> None:
    """Note what a transaction writes, by collection. What is not exported may be among it."""
    if not is_on():
        return
    written = {name: list(ids[name]) for name in NOTED if ids.get(name)}
    if any(written.values()):
        entry = {"_id": ObjectId(), "at": now(), **written}
        tx.database.unexported.insert_one(entry, session=tx.session)
        noted.send()


def note_targets(tx: Tx, targets: Sequence[tuple[str, Any]]) -> None:
    """Note what the engine wrote: pairs of a collection and an id."""
    ids: dict[str, list[Any]] = {}
    for name, id_ in targets:
        ids.setdefault(name, []).append(id_)
    note(tx, ids)


def oldest() -> datetime | None:
    """Since when the oldest change waits; None when nothing does."""
    found = get_db().unexported.find_one({}, {"at": 1}, sort=[("_id", 1)])
    times = [found["at"]] if found else []
    for name in MARKED:
        row = get_db()[name].find_one(EXPORT_DUE, {MARK: 1}, sort=[(MARK, 1)])
        times += [row[MARK]] if row else []
    return min(times, default=None)


def is_none() -> bool:
    """Whether the warehouse knows everything."""
    return oldest() is None


def lag_seconds() -> float:
    """How far the warehouse is behind what is counted."""
    since = oldest()
    return max(0.0, (now() - since).total_seconds()) if since else 0.0
