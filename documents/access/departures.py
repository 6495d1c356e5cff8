"""The end of what depends on memberships: secrets, grants, and accounts without another one."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.access.member import SECRET_KINDS
from documents.values.time import now
from matchback.engine import Tx

# What a member's row holds about the person, until the membership ends.
PERSONAL_FIELDS = (
    *("name", "email", "address", "password", "account_id"),
    *("subject", "subject_client_id"),
)
# A request stores a new account a moment before its membership.
NEW_ACCOUNT_TIME = timedelta(hours=1)


def end_memberships(tx: Tx, members: Sequence[Mapping[str, Any]]) -> None:
    """End what depends on members whose rows have just been deleted, or have lost the account.

    An account stays while it has another membership. Sessions that show another organization stay,
    and lose the grants for this one.

    Args:
        members: the rows before that.
    """
    ids = [one["_id"] for one in members]
    _end_secrets(tx, {"staff_id": {"$in": ids}})
    staying = end_lone_accounts(tx, {one["account_id"] for one in members if one.get("account_id")})
    tx.database.staff_sessions.update_many(
        {"account_id": {"$in": list(staying)}},
        {"$pull": {"grants": {"staff_id": {"$in": ids}}}},
        session=tx.session,
    )
    _end_passwords(tx, staying, ids)


def end_lone_accounts(tx: Tx, account_ids: set[ObjectId]) -> set[ObjectId]:
    """Delete accounts without a membership, with their sessions and links. Return the others."""
    query = {"account_id": {"$in": list(account_ids)}}
    staying = set(tx.database.staff.distinct("account_id", query, session=tx.session))
    lone = {"$in": list(account_ids - staying)}
    tx.database.accounts.delete_many({"_id": lone}, session=tx.session)
    _end_secrets(tx, {"account_id": lone})
    return staying


def find_lone_accounts() -> set[ObjectId]:
    """Return accounts without a membership, except new ones.

    If a request is killed, it stores no membership.
    """
    before = now() - NEW_ACCOUNT_TIME
    link = {"localField": "_id", "foreignField": "account_id"}
    is_old = {name: {"$not": {"$gte": before}} for name in ("created_at", "joined_at")}
    pipeline = [
        {"$lookup": {"from": "staff", **link, "as": "members"}},
        {"$match": {"members": [], **is_old}},
        {"$project": {"_id": 1}},
    ]
    return {row["_id"] for row in get_db().accounts.aggregate(pipeline)}


def _end_passwords(tx: Tx, account_ids: set[ObjectId], staff_ids: list[ObjectId]) -> None:
    """End passwords that opened no other membership. An empty list would open all."""
    opened = {"_id": {"$in": list(account_ids)}, "password_opens": {"$in": staff_ids}}
    no_other = {"password_opens": {"$not": {"$elemMatch": {"$nin": staff_ids}}}}
    tx.database.accounts.update_many(
        {"$and": [opened, no_other]},
        {"$unset": {"password": "", "password_opens": ""}},
        session=tx.session,
    )
    tx.database.accounts.update_many(
        opened, {"$pull": {"password_opens": {"$in": staff_ids}}}, session=tx.session
    )


def _end_secrets(tx: Tx, query: dict[str, Any]) -> None:
    for kind in SECRET_KINDS:
        tx.database[kind._get_collection_name()].delete_many(query, session=tx.session)
