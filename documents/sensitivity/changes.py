"""Notes of changes, which make the computation of fundraisers due."""

from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from mongoengine import get_db
from pymongo import UpdateMany, UpdateOne

from documents.evidence_change import NOTE_COVERS
from documents.rows.sensitivity import SensitivityRunRow

NOTES_PER_READ = 1_000


def follow_changes() -> None:
    """Make the fundraisers due that notes name. A repeated call after a kill changes little."""
    while notes := list(get_db().evidence_changes.find().sort("_id", 1).limit(NOTES_PER_READ)):
        latest: dict[tuple[ObjectId, ObjectId | None], datetime] = {}
        for note in notes:
            key = note["organization_id"], note.get("fundraiser_id")
            latest[key] = max(note["at"], latest.get(key, note["at"]))
        updates = [_build_update(*key, at) for key, at in latest.items()]
        get_db().sensitivity_runs.bulk_write(updates, ordered=False)
        read = {"_id": {"$in": [note["_id"] for note in notes]}}
        get_db().evidence_changes.delete_many(read)


def _build_update(
    organization_id: ObjectId, fundraiser_id: ObjectId | None, at: datetime
) -> UpdateOne | UpdateMany:
    due = {"$ifNull": ["$due", {"$max": [at, "$next_at"]}]}
    changed: dict[str, Any] = {"changed_at": {"$max": ["$changed_at", at]}, "due": due}
    if fundraiser_id is None:
        return UpdateMany({"organization_id": organization_id}, [{"$set": changed}])
    owned = {"organization_id": organization_id, **changed}
    return UpdateOne({"_id": fundraiser_id}, [{"$set": owned}], upsert=True)


def may_have_changed(run: SensitivityRunRow, since: datetime) -> bool:
    """Return whether gifts or emails may have changed since a time, by the notes so far."""
    return run["changed_at"] + NOTE_COVERS >= since


def find_unchanged_from(run: SensitivityRunRow) -> datetime:
    """Return the time from which the known changes have certainly ended."""
    return run["changed_at"] + NOTE_COVERS + timedelta(seconds=1)
