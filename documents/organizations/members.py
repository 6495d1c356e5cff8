"""Deletion of an organization's members, and of the people who belong to no other organization."""

from typing import Any

from bson import ObjectId

from documents.people.spellings import list_all_address_keys
from documents.storage.marks import build_text_condition
from documents.storage.transaction import in_transaction
from matchback.engine import Tx

MEMBERS_PER_BATCH = 100
SECRET_COLLECTIONS = ("staff_sessions", "sign_in_links")


def delete_members(organization_id: ObjectId) -> int:
    """Delete some members, their sessions, and their accounts. Return the number of members.

    An account stays while it has another membership. Sessions that show another organization stay,
    and lose the proof for this one.
    """
    return in_transaction(_delete_members, organization_id)


def _delete_members(tx: Tx, organization_id: ObjectId) -> int:
    staff = tx.database.staff
    members = list(
        staff.find({"organization_id": organization_id}, session=tx.session).limit(
            MEMBERS_PER_BATCH
        )
    )
    if not members:
        return 0
    ids = [one["_id"] for one in members]
    accounts = _list_accounts(tx, members)
    staff.delete_many({"_id": {"$in": ids}}, session=tx.session)
    query = {"account_id": {"$in": list(accounts)}}
    ending = list(accounts - set(staff.distinct("account_id", query, session=tx.session)))
    tx.database.accounts.delete_many({"_id": {"$in": ending}}, session=tx.session)
    secrets = {"$or": [{"staff_id": {"$in": ids}}, {"account_id": {"$in": ending}}]}
    for name in SECRET_COLLECTIONS:
        tx.database[name].delete_many(secrets, session=tx.session)
    tx.database.staff_sessions.update_many(
        {"account_id": {"$in": list(accounts)}},
        {"$pull": {"grants": {"staff_id": {"$in": ids}}}},
        session=tx.session,
    )
    return len(members)


def _list_accounts(tx: Tx, members: list[dict[str, Any]]) -> set[ObjectId]:
    """Return the accounts of members, and those that former members left without a membership."""
    keys = list_all_address_keys(one["email"] for one in members if one.get("email"))
    query = {"address": build_text_condition(in_=keys)}
    found = tx.database.accounts.find(query, {"_id": 1}, session=tx.session)
    known = {one["account_id"] for one in members if one.get("account_id")}
    return known | {one["_id"] for one in found}
