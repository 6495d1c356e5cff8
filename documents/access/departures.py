"""The end of what depends on memberships: secrets, grants, and accounts without another one."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.access.member import MEMBER_SECRET_KINDS, SECRET_KINDS
from documents.access.secret import Secret
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
    and lose the grants for this one. Reset links stay for the person's other memberships.
    Otherwise, an admin could prevent each reset by a removal and another invitation.

    Args:
        members: the rows before that.
    """
    ids = [one["_id"] for one in members]
    _end_secrets(tx, MEMBER_SECRET_KINDS, {"staff_id": {"$in": ids}})
    staying = end_lone_accounts(tx, {one["account_id"] for one in members if one.get("account_id")})
    tx.database.staff_sessions.update_many(
        {"account_id": {"$in": list(staying)}},
        {"$pull": {"grants": {"staff_id": {"$in": ids}}}},
        session=tx.session,
    )
    _end_passwords(tx, staying, ids)
    _take_out_of_reset_links(tx, staying, ids)


def end_lone_accounts(tx: Tx, account_ids: set[ObjectId]) -> set[ObjectId]:
    """Delete accounts without a membership, with their sessions and links. Return the others."""
    query = {"account_id": {"$in": list(account_ids)}}
    staying = set(tx.database.staff.distinct("account_id", query, session=tx.session))
    lone = {"$in": list(account_ids - staying)}
    tx.database.accounts.delete_many({"_id": lone}, session=tx.session)
    _end_secrets(tx, SECRET_KINDS, {"account_id": lone})
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


def _take_out_of_reset_links(tx: Tx, account_ids: set[ObjectId], staff_ids: list[ObjectId]) -> None:
    links = tx.database.password_reset_links
    links.update_many(
        {"account_id": {"$in": list(account_ids)}},
        {"$unset": {f"epochs.{id_}": "" for id_ in staff_ids}},
        session=tx.session,
    )
    for link in list(links.find({"staff_id": {"$in": staff_ids}}, session=tx.session)):
        _give_to_other_membership(tx, link)


def _give_to_other_membership(tx: Tx, link: Mapping[str, Any]) -> None:
    """Let a reset link name another membership that can use it. Delete it if there is none."""
    epochs: dict[str, int] = link.get("epochs") or {}
    ids = {"$in": [ObjectId(id_) for id_ in epochs]}
    query = {"_id": ids, "account_id": link.get("account_id"), "deleted_at": None}
    members = tx.database.staff.find(query, session=tx.session)
    usable = [one for one in members if one.get("epoch", 0) == epochs[str(one["_id"])]]
    if not usable:
        tx.database.password_reset_links.delete_one({"_id": link["_id"]}, session=tx.session)
        return
    other = min(usable, key=lambda one: one["_id"])
    named = {"staff_id": other["_id"], "organization_id": other["organization_id"]}
    tx.database.password_reset_links.update_one(
        {"_id": link["_id"]},
        {"$set": {**named, "epoch": epochs[str(other["_id"])]}},
        session=tx.session,
    )


def _end_secrets(tx: Tx, kinds: Sequence[type[Secret]], query: dict[str, Any]) -> None:
    for kind in kinds:
        tx.database[kind._get_collection_name()].delete_many(query, session=tx.session)
