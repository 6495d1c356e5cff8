"""Staff members of the earlier layout, who hold what an account holds now.

The migration gives each of them an account. Until then, and for a row that an earlier version
stores later, the row itself is the person.
"""

from typing import Any

from bson import ObjectId

from documents.values.time import now
from matchback.engine import Tx

FORMER_STAFF_FILTER: dict[str, Any] = {
    "account_id": None,
    "deleted_at": None,
    "address": {"$type": "string"},
}
ACCOUNT_FIELDS = ("address", "email", "name", "password", "created_at")


def give_own_account(tx: Tx, staff_id: ObjectId) -> None:
    """Turn a row of the earlier layout into a membership, unless another process has done it."""
    row = tx.database.staff.find_one({**FORMER_STAFF_FILTER, "_id": staff_id}, session=tx.session)
    if row is not None:
        give_account(tx, row)


def give_account(tx: Tx, row: dict[str, Any]) -> None:
    """Turn a row of the earlier layout into a membership of an account.

    If another account has the address, the row becomes its membership. The row's own account has
    the same ID. A change of the row meanwhile leaves the row as it is, for the next attempt.
    """
    account = _find_account(tx, row)
    if account is None:
        account = row["_id"]
        known = {name: row[name] for name in ACCOUNT_FIELDS if row.get(name) is not None}
        known["epoch"] = row.get("epoch", 0)
        tx.database.accounts.update_one(
            {"_id": account}, {"$set": known}, upsert=True, session=tx.session
        )
    changes: dict[str, Any] = {"account_id": account}
    if row.get("password"):
        changes["was_given_password"] = True
    if _is_member(tx, row["organization_id"], account):  # an earlier version added the person twice
        changes = {"deleted_at": now()}
    tx.database.staff.update_one(
        {"_id": row["_id"], "account_id": None, "version": row.get("version", 0)},
        {
            "$set": changes,
            "$unset": {"address": "", "password": ""},
            "$inc": {"version": 1},
        },
        session=tx.session,
    )


def _find_account(tx: Tx, row: dict[str, Any]) -> ObjectId | None:
    other = {"address": row["address"], "_id": {"$ne": row["_id"]}}
    found = tx.database.accounts.find_one(other, {"_id": 1}, session=tx.session)
    return found["_id"] if found else None


def _is_member(tx: Tx, organization_id: ObjectId, account_id: ObjectId) -> bool:
    query = {"organization_id": organization_id, "account_id": account_id, "deleted_at": None}
    return tx.database.staff.find_one(query, {"_id": 1}, session=tx.session) is not None
