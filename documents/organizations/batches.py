"""Batches of a deletion. Each deletes a bounded number of rows, and repeating it is harmless."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.access.departures import end_memberships
from documents.storage.export_outbox import EXPORTED_COLLECTIONS, note_deletions
from documents.storage.transaction import in_transaction
from matchback.engine import Tx

DELETED_ROWS_PER_BATCH = 500
SCANNED_ROWS_PER_BATCH = 5_000
ANCHORS_PER_BATCH = 50
EMAILS_PER_BATCH = 200
MEMBERS_PER_BATCH = 100
JOURNAL_COLLECTIONS = ("counter_changes", "counter_sums")


@dataclass(frozen=True)
class BatchResult:
    """The result of one batch.

    Attributes:
        after: the ID at which the next batch goes on.
        is_last: whether no rows are left in this step.
    """

    deleted: int
    is_last: bool
    after: Any = None


def delete_owned_rows(name: str, organization_id: ObjectId, after: Any) -> BatchResult:
    """Delete the next rows of a collection that name the organization.

    Without an index of the organization, the batch reads the next rows of all organizations.
    """
    own, limit = {"organization_id": organization_id}, DELETED_ROWS_PER_BATCH
    if has_organization_index(name):
        ids = [row["_id"] for row in get_db()[name].find(own, {"_id": 1}).limit(limit)]
        return BatchResult(delete_rows(name, ids), len(ids) < limit)
    found = get_db()[name].find({}, {"organization_id": 1}).hint([("_id", 1)])
    if after is not None:
        # Unlike a condition, this bound also passes from IDs of one type to those of the next.
        found = found.min([("_id", after)])
    page = list(found.limit(SCANNED_ROWS_PER_BATCH))
    ids = [row["_id"] for row in page if row.get("organization_id") == organization_id]
    deleted = sum(delete_rows(name, part) for part in _split(ids))
    last = page[-1]["_id"] if page else None
    return BatchResult(deleted, len(page) < SCANNED_ROWS_PER_BATCH, last)


def delete_emails(organization_id: ObjectId) -> BatchResult:
    """Delete some emails, and the messages that only they find."""
    own = get_db().emails.find({"organization_id": organization_id}, {"_id": 1})
    ids = [row["_id"] for row in own.limit(EMAILS_PER_BATCH)]
    if ids:
        in_transaction(_delete, "emails", ids, {"messages": [{"email_id": {"$in": ids}}]})
    return BatchResult(len(ids), len(ids) < EMAILS_PER_BATCH)


def delete_members(organization_id: ObjectId) -> int:
    """Delete some members, with what ends with their memberships. Return their number."""
    return in_transaction(_delete_members, organization_id)


def delete_journal(name: str, organization_id: ObjectId, after: Any) -> BatchResult:
    """Delete some rows that only the next mailing or fundraiser finds. The record itself stays."""
    query: dict[str, Any] = {"organization_id": organization_id}
    query |= {} if after is None else {"_id": {"$gt": after}}
    anchor = get_db()[name].find_one(query, {"_id": 1}, sort=[("_id", 1)])
    if anchor is None:
        return BatchResult(0, is_last=True)
    deleted = sum(
        _delete_some(of, children)
        for of, queries in _list_children(name, anchor["_id"]).items()
        for children in queries
    )
    return BatchResult(deleted, is_last=False, after=after if deleted else anchor["_id"])


def delete_anchors(name: str, organization_id: ObjectId) -> BatchResult:
    """Delete some mailings or fundraisers, with rows that settling stored a moment ago.

    Settling writes the mailing or fundraiser, too. So of the two transactions, one starts again.
    """
    own = get_db()[name].find({"organization_id": organization_id}, {"_id": 1})
    ids = [row["_id"] for row in own.limit(ANCHORS_PER_BATCH)]
    for id_ in ids:
        in_transaction(_delete, name, [id_], _list_children(name, id_))
    return BatchResult(len(ids), len(ids) < ANCHORS_PER_BATCH)


def delete_rows(name: str, ids: list[Any]) -> int:
    """Delete rows by ID, and note them for the warehouse in the same transaction."""
    if not ids:
        return 0
    if name in EXPORTED_COLLECTIONS:
        in_transaction(_delete, name, ids, {})
    else:
        get_db()[name].delete_many({"_id": {"$in": ids}})
    return len(ids)


@cache
def has_organization_index(name: str) -> bool:
    """Return whether an index of all rows begins with the organization."""
    indexes = get_db()[name].index_information().values()
    return any(
        one["key"][0][0] == "organization_id"
        and "partialFilterExpression" not in one
        and not one.get("sparse")
        for one in indexes
    )


def _delete(
    tx: Tx, name: str, ids: list[Any], children: Mapping[str, Iterable[Mapping[str, Any]]]
) -> None:
    for of, queries in children.items():
        for query in queries:
            tx.database[of].delete_many(query, session=tx.session)
    tx.database[name].delete_many({"_id": {"$in": ids}}, session=tx.session)
    note_deletions(tx, name, ids)


def _delete_members(tx: Tx, organization_id: ObjectId) -> int:
    own = tx.database.staff.find({"organization_id": organization_id}, session=tx.session)
    members = list(own.limit(MEMBERS_PER_BATCH))
    if members:
        ids = [one["_id"] for one in members]
        tx.database.staff.delete_many({"_id": {"$in": ids}}, session=tx.session)
        end_memberships(tx, members)
    return len(members)


def _list_children(name: str, id_: ObjectId) -> dict[str, list[dict[str, Any]]]:
    """Return the queries for the rows that only a mailing's or fundraiser's ID finds."""
    prefix = f"{name.removesuffix('s')}:{id_}"
    named = {"$gte": f"{prefix}:", "$lt": f"{prefix};"}  # the character after the colon
    found: dict[str, list[dict[str, Any]]] = {
        "gift_days": [{"_id": named}],
        "donors": [{"_id": named}],
        "arms": [{"_id": {"$gte": f"{id_}:", "$lt": f"{id_};"}}],
    }
    for of in JOURNAL_COLLECTIONS:
        found[of] = [{"of": id_}, {"of": named}]
    return found


def _delete_some(name: str, query: dict[str, Any]) -> int:
    found = get_db()[name].find(query, {"_id": 1}).limit(DELETED_ROWS_PER_BATCH)
    return delete_rows(name, [row["_id"] for row in found])


def _split(ids: list[Any]) -> Iterable[list[Any]]:
    return (
        ids[start : start + DELETED_ROWS_PER_BATCH]
        for start in range(0, len(ids), DELETED_ROWS_PER_BATCH)
    )
