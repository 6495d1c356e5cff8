"""The upgrade of all indexes: missing ones are created, and retired ones dropped."""

from collections.abc import Mapping, Sequence
from typing import Any

from mongoengine import get_db
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from documents.index_tables.former_layout import FORMER_EMAIL_INDEXES, FORMER_USER_INDEXES
from documents.match import FORMER_INDEXES, MATCHES_MIGRATION
from documents.migrations.document_classes import DOCUMENT_CLASSES
from documents.migrations.index_tables import EMAIL_INDEX_MIGRATION, USER_INDEX_MIGRATION
from documents.tracking.former_rows import EVENT_ROWS_MIGRATION, FORMER_ID_INDEX

INDEX_NOT_FOUND_CODE = 27

# Indexes that no query uses. Each index slows down every write to its collection.
RETIRED_INDEXES: dict[str, tuple[str, ...]] = {
    "deliveries": ("organization_id_1__id_1",),
    "emails": ("organization_id_1_messages_1",),
    "events": ("email_id_1_type_1",),
    "payments": ("organization_id_1",),
}
# Indexes that readers use until a migration has finished, by the number of the migration.
REPLACED_INDEXES: dict[int, dict[str, tuple[str, ...]]] = {
    MATCHES_MIGRATION: {"donations": FORMER_INDEXES},
    USER_INDEX_MIGRATION: {"users": FORMER_USER_INDEXES},
    EMAIL_INDEX_MIGRATION: {
        "emails": (*FORMER_EMAIL_INDEXES, "due"),
        # No worker of the earlier version runs after a migration.
        "donations": ("due",),
        "mailings": ("due",),
    },
    EVENT_ROWS_MIGRATION: {"events": (FORMER_ID_INDEX,)},
}


def update_indexes() -> None:
    """Create missing indexes, then drop retired ones.

    A second run has no effect. Traffic can continue, but the checks are too slow for each request.
    """
    create_missing_indexes()
    drop_retired_indexes()


def create_missing_indexes() -> None:
    """Create missing indexes."""
    for document in DOCUMENT_CLASSES:
        document.ensure_indexes()


def drop_retired_indexes() -> None:
    """Drop indexes that no current query needs.

    Keep the indexes by which processes read stored data until its migration has finished.
    """
    for retired in (RETIRED_INDEXES, *_list_replaced_indexes()):
        drop_indexes(retired)


def drop_indexes(retired: Mapping[str, Sequence[str]]) -> None:
    """Drop these indexes, by collection. Ignore missing ones."""
    for name, indexes in retired.items():
        collection = get_db()[name]
        for index in collection.index_information().keys() & set(indexes):
            _drop(collection, index)


def _list_replaced_indexes() -> list[dict[str, tuple[str, ...]]]:
    """Return the indexes that a finished migration has replaced; all of them in a new database."""
    if get_db().organizations.find_one({}, {"_id": 1}) is None:
        return list(REPLACED_INDEXES.values())
    finished = get_db().migrations.find({"finished_at": {"$ne": None}}, {"_id": 1})
    return [REPLACED_INDEXES[row["_id"]] for row in finished if row["_id"] in REPLACED_INDEXES]


def _drop(collection: Collection[Any], index: str) -> None:
    try:
        collection.drop_index(index)
    except OperationFailure as error:
        if error.code != INDEX_NOT_FOUND_CODE:  # Another process has just dropped it.
            raise
