"""Evidence changes: notes that a fundraiser's gifts or emails have changed.

`sensitivity/` computes again only what has changed. The settling transaction inserts the note, so
that no change is lost. It updates no record for this, because others would wait for that record.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any

from bson import ObjectId
from mongoengine import DateTimeField, ObjectIdField, get_db

from documents.storage.base import Document
from documents.storage.process_cache import ProcessCache
from documents.storage.tenancy import OWNED_META
from documents.values.time import now
from matchback.engine import Tx, Update

NOTE_INTERVAL_SECONDS = 60.0
# A note also covers the changes of its process until the next note. Two transactions of at most
# 20 s and the difference of the clocks are longer than that.
NOTE_COVERS = timedelta(seconds=150)

_noted = ProcessCache[ObjectId, bool](NOTE_INTERVAL_SECONDS)


class EvidenceChange(Document):
    """A note. It lasts until a worker has read it.

    fundraiser_id: None for all fundraisers of the organization.
    """

    organization_id = ObjectIdField(required=True)
    fundraiser_id = ObjectIdField()
    at = DateTimeField(required=True)

    meta = {"collection": "evidence_changes", "auto_create_index": False, **OWNED_META}


class EvidenceChanges:
    """Observer of donations and emails."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._changed: dict[ObjectId, ObjectId] = {}  # organizations by fundraiser

    def note(self, source: str, row: dict[str, Any], update: Update) -> None:
        self._changed[row["fundraiser_id"]] = row["organization_id"]

    def write(self, send: Callable[..., None]) -> None:
        at = self._tx.at
        noted = {id_: of for id_, of in self._changed.items() if not _noted.get(id_)}
        rows = [
            {"_id": ObjectId(), "organization_id": of, "fundraiser_id": id_, "at": at}
            for id_, of in noted.items()
        ]
        if rows:
            insert = self._tx.database.evidence_changes.insert_many
            send(insert, rows, ordered=False, session=self._tx.session)
            # An attempt that fails leaves no note, so only the commit may suppress the next ones.
            self._tx.on_commit(partial(_remember, noted.keys()))


def _remember(fundraiser_ids: Iterable[ObjectId]) -> None:
    for id_ in fundraiser_ids:
        _noted.put(id_, True)


def note_changed_policy(organization_id: ObjectId, fundraiser_id: ObjectId | None) -> None:
    """Note that a match policy is about to change; `fundraiser_id` is None for an organization."""
    row = {"organization_id": organization_id, "fundraiser_id": fundraiser_id, "at": now()}
    get_db().evidence_changes.insert_one(row)


def note_fundraisers(tx: Tx, rows: list[Any]) -> None:
    """Note fundraisers of earlier versions, for a migration. Skip those that are known."""
    at, ids = now(), {"$in": [row["_id"] for row in rows]}
    database, session = tx.database, tx.session
    runs = database.sensitivity_runs.find({"_id": ids}, {"_id": 1}, session=session)
    notes = database.evidence_changes.find({"fundraiser_id": ids}, session=session)
    known = {run["_id"] for run in runs} | {note["fundraiser_id"] for note in notes}
    new = [
        {"organization_id": row["organization_id"], "fundraiser_id": row["_id"], "at": at}
        for row in rows
        if row["_id"] not in known
    ]
    if new:
        database.evidence_changes.insert_many(new, session=session)
