"""Index table of users: the counters by which clients sort users.

Every user has a row. Settling writes it in the transaction that changes the counters; see
documents/counters.py. The request or import that creates a user adds the row, so that the next list
includes the user. If a row is missing, the worker that follows the new user adds it. A row without
a user appears in no list.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mongoengine import DateTimeField, IntField, ObjectIdField, get_db
from pymongo import WriteConcern
from pymongo.errors import BulkWriteError

from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META
from documents.storage.transaction import DUPLICATE_KEY_CODE

USER_INDEX_FIELDS = ("donations_count", "emails_count", "last_donated_at")


class UserIndex(Document):
    """A user's row. It has the user's ID."""

    organization_id = ObjectIdField(required=True)
    donations_count = IntField()
    emails_count = IntField()
    last_donated_at = DateTimeField()

    meta = {
        "collection": "user_index",
        "auto_create_index": False,
        "indexes": [["organization_id", name, "id"] for name in USER_INDEX_FIELDS],
        **OWNED_META,
    }


def add_missing_row(user: Mapping[str, Any]) -> None:
    """Add the row of a user who has none; see `add_missing_rows`."""
    add_missing_rows([user])


def add_missing_rows(users: Iterable[Mapping[str, Any]]) -> None:
    """Add the rows of users who have none. Leave existing rows unchanged.

    One server acknowledges the write. It comes before the insert of the users, which waits for a
    majority, and so for this write too. If a failover loses it, the worker that follows the new
    users adds the rows again.
    """
    if not (rows := [_build_row(user) for user in users]):
        return
    index = get_db().user_index.with_options(write_concern=WriteConcern(1))
    try:
        index.insert_many(rows, ordered=False)
    except BulkWriteError as error:
        problems = (error.details or {}).get("writeErrors", [])
        if {problem["code"] for problem in problems} != {DUPLICATE_KEY_CODE}:
            raise


def _build_row(user: Mapping[str, Any]) -> dict[str, Any]:
    fields = ("_id", "organization_id", *USER_INDEX_FIELDS)
    return {name: user[name] for name in fields if user.get(name) is not None}


def follow_users(users: list[Any]) -> None:
    """Add the missing rows of new users, and delete the rows of deleted users.

    No transaction is necessary. A row is missing only while no new worker has counted anything for
    the user. If a client deletes a user meanwhile, the user is due again.
    """
    found = get_db().user_index.find({"_id": {"$in": [user["_id"] for user in users]}}, {"_id": 1})
    known = {row["_id"] for row in found}
    is_deleted = {user["_id"]: user.get("deleted_at") is not None for user in users}
    add_missing_rows(
        user for user in users if user["_id"] not in known and not is_deleted[user["_id"]]
    )
    if gone := [id_ for id_ in known if is_deleted[id_]]:
        delete_rows(gone)


def delete_rows(user_ids: list[Any]) -> None:
    """Delete the rows of users who were deleted, or not stored."""
    get_db().user_index.delete_many({"_id": {"$in": user_ids}})
