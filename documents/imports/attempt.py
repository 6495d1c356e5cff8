"""A worker's attempt at an import: its progress, and its end with an event.

Every write compares the number of the attempt. So a worker stores nothing after a person began
another attempt, or another worker ended this one.
"""

from collections.abc import Mapping
from typing import Any, Literal

from documents.imports.file_import import FileImport
from documents.outgoing.facts import note_fact
from documents.storage.transaction import in_transaction
from documents.values.time import now
from matchback.engine import Tx


def update_attempt(one: FileImport, **changes: Any) -> bool:
    """Store a worker's progress. Return False if the attempt is not current."""
    query = {"id": one.id, "state": one.state, "attempt": one.attempt}
    sets = {f"set__{name}": value for name, value in changes.items()}
    is_current = FileImport.objects(**query).update_one(set__updated_at=now(), **sets)
    return _apply(one, changes, bool(is_current))


def end_attempt(one: FileImport, state: Literal["done", "failed"], **changes: Any) -> bool:
    """Store the end of an attempt and its event. Return False if the attempt is not current."""
    changes = {"state": state, **changes}
    return _apply(one, changes, in_transaction(_end, one, changes))


def _end(tx: Tx, one: FileImport, changes: Mapping[str, Any]) -> bool:
    query = {"_id": one.id, "state": one.state, "attempt": one.attempt}
    update = {"$set": {**changes, "updated_at": now()}}
    if not tx.database.imports.update_one(query, update, session=tx.session).matched_count:
        return False
    note_fact(
        tx,
        "import.finished",
        _describe_end(one, changes["state"]),
        organization_id=one.organization_id,
        record_id=one.id,
        version=one.attempt,
    )
    return True


def _apply(one: FileImport, changes: Mapping[str, Any], is_current: bool) -> bool:
    if is_current:
        for name, value in changes.items():
            setattr(one, name, value)
    return is_current


def _describe_end(one: FileImport, state: str) -> dict[str, Any]:
    """Return the data of the event, without the file's name, which can contain a person's name."""
    return {
        "records": one.records,
        "state": state,
        "rows": one.rows,
        "created": one.made,
        "found": one.found,
        "rejected": one.rejected,
    }
