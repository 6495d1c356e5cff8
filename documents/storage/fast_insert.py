"""Fast inserts of gifts and webhook deliveries, without MongoEngine's `save()`.

MongoEngine needs as much processor time to create, validate and serialise a document as the insert
takes. This module makes a row from the class's defaults and inserts it in one round trip. Like
`save()`, it checks the owner, sets the due mark, enforces unique fields and sends `post_save`.
"""

from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from mongoengine import signals
from pymongo.errors import DuplicateKeyError

from config.database import await_majority
from documents.errors import Conflict
from documents.storage.record import MAX_INSERT_ATTEMPTS, CountedRecord, build_record_row
from documents.storage.tenancy import check_owner
from documents.values.time import now


@dataclass(frozen=True)
class StoredRow:
    """The part of a row that `post_save` passes to its receivers, which need only the ID."""

    id: ObjectId


def insert_source(document: type[CountedRecord], **values: Any) -> Any:
    """Store a new record that counters count. Return its row.

    The caller must have validated the client's values.

    Raises:
        DuplicateKeyError: another record has the ID or one of the unique fields.
    """
    check_owner(values["organization_id"])
    row = build_record_row(document, due=now(), **values)
    document._get_collection().insert_one(row)  # type: ignore[attr-defined]
    signals.post_save.send(document, document=StoredRow(row["_id"]), created=True)
    return row


def insert_or_find_source(
    document: type[CountedRecord], same: dict[str, Any], **values: Any
) -> tuple[Any, bool]:
    """Store a new record, or find the existing one. Return the row and whether it is new.

    An existing record with the given ID is the same record, because an interrupted request stored
    it.

    Args:
        same: condition that finds the record with the same unique field.

    Raises:
        Conflict: several attempts neither stored nor found the record.
    """
    collection = document._get_collection()  # type: ignore[attr-defined]
    own = {"_id": values.get("_id"), "organization_id": values["organization_id"]}
    for _ in range(MAX_INSERT_ATTEMPTS):
        try:
            return insert_source(document, **values), True
        except DuplicateKeyError:
            await_majority()  # so that a search finds the other record
            if values.get("_id") and (row := collection.find_one(own)) is not None:
                return row, True
            # A primary may lose its role after it rejected this insert. The conflicting record can
            # then be rolled back, so the next attempt succeeds.
            if (row := collection.find_one(same)) is not None:
                return row, False
    raise Conflict("Another request is creating this record. Retry the request.")
