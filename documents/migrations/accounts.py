"""Migrations of accounts: one for each staff member, and none for removed people."""

from typing import Any

from documents.access.departures import NEW_ACCOUNT_TIME, PERSONAL_FIELDS, end_lone_accounts
from documents.access.former_staff import give_account
from documents.values.time import now
from matchback.engine import Tx

ACCOUNTS_MIGRATION = 40
REMOVED_STAFF_MIGRATION, LONE_ACCOUNTS_MIGRATION = 41, 42
GIVEN_PASSWORDS_MIGRATION = 46
REMOVED_STAFF_FILTER: dict[str, Any] = {
    "deleted_at": {"$ne": None},
    "$or": [{name: {"$exists": True}} for name in PERSONAL_FIELDS],
}

# A member of the earlier layout has the same ID as the account that the migration made.
FORMER_MEMBERS_FILTER: dict[str, Any] = {
    "deleted_at": None,
    "was_given_password": None,
    "$expr": {"$eq": ["$_id", "$account_id"]},
}


def add_accounts(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Give each member an account with the same ID, the address and the password."""
    for row in rows:
        give_account(tx, row)


def forget_removed_staff(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Delete what the rows of removed members hold about people."""
    tx.database.staff.update_many(
        {"_id": {"$in": [row["_id"] for row in rows]}, "deleted_at": {"$ne": None}},
        {"$unset": dict.fromkeys(PERSONAL_FIELDS, "")},
        session=tx.session,
    )


def note_given_passwords(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Note which members of the earlier layout had a password, as `give_account` does now."""
    protected = {"_id": {"$in": [row["_id"] for row in rows]}, "password": {"$ne": None}}
    ids = tx.database.accounts.distinct("_id", protected, session=tx.session)
    noted = {"$set": {"was_given_password": True}, "$inc": {"version": 1}}
    tx.database.staff.update_many({"_id": {"$in": ids}}, noted, session=tx.session)


def delete_lone_accounts(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Delete accounts without a membership, as earlier versions left them.

    A request stores a new account a moment before its membership, so new ones stay.
    """
    newest = now() - NEW_ACCOUNT_TIME
    old = {
        row["_id"] for row in rows if (row.get("joined_at") or row["_id"].generation_time) < newest
    }
    end_lone_accounts(tx, old)
