"""The effect of new users and new addresses on stored gifts.

The write that adds a user or changes an address also marks the user. A job then marks the gifts, so
that settling them finds their user and email again. The job can miss a gift that is stored while it
runs. Such a gift is settled after the user was stored, so settling finds the user. The job uses no
transaction, because a second run has no effect. A transaction would also conflict with every
transaction that updates the counters of users.
"""

from collections import defaultdict
from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import get_db
from pymongo import UpdateMany

from documents.index_tables.user_index import USER_INDEX_FIELDS, follow_users
from documents.matching.rematch import MARKED_GIFTS_PER_BATCH, list_user_mailboxes, mark_for_rematch
from documents.rows.donation import DonationRow
from documents.rows.user import UserRow
from documents.storage import shutdown
from matchback.engine import Tx

REMATCH_DUE_FILTER: dict[str, Any] = {"rematch_due": {"$type": "date"}}
USERS_PER_BATCH = 500
REMATCH_FIELDS = ("rematch_due", "rematch_mailboxes", "rematch_page")
CHANGED_USER_FIELDS = (
    *("organization_id", "mailbox", "former_mailboxes", "deleted_at"),
    *REMATCH_FIELDS,
    *USER_INDEX_FIELDS,
)
REMATCH_DONE_UPDATE: dict[str, Any] = {"$unset": dict.fromkeys(REMATCH_FIELDS, "")}


def mark_gifts_of_users() -> set[ObjectId]:
    """Mark the gifts of all due users. Return the fundraisers whose gifts were marked."""
    fundraisers: set[ObjectId] = set()
    while not shutdown.has_begun() and (users := _due()):
        follow_users(users)
        by_organization: defaultdict[ObjectId, list[UserRow]] = defaultdict(list)
        for user in users:
            by_organization[user["organization_id"]].append(user)
        for theirs in by_organization.values():
            fundraisers |= {gift["fundraiser_id"] for gift in _follow(theirs)}
    return fundraisers


def _due() -> list[UserRow]:
    found = (
        get_db()
        .users.find(REMATCH_DUE_FILTER, dict.fromkeys(CHANGED_USER_FIELDS, 1))
        .sort("rematch_due", 1)
    )
    return list(found.limit(USERS_PER_BATCH))


def _follow(users: list[UserRow]) -> list[DonationRow]:
    """Mark the gifts of one organization's users.

    If the users have too many gifts for one batch, split the users. If a single user has too many,
    store the last marked gift in `rematch_page`, and continue there in the next batch.
    """
    gifts, update = _gifts(users), REMATCH_DONE_UPDATE
    if len(gifts) > MARKED_GIFTS_PER_BATCH:
        if len(users) > 1:
            half = len(users) // 2
            return _follow(users[:half]) + _follow(users[half:])
        page = users[0].get("rematch_page") or {}
        after = page.get("after") if page.get("due") == users[0]["rematch_due"] else None
        gifts = _gifts(users, after)
        if len(gifts) > MARKED_GIFTS_PER_BATCH:
            gifts.pop()
            reached = {"due": users[0]["rematch_due"], "after": gifts[-1]["_id"]}
            update = {"$set": {"rematch_page": reached}}
    mark_for_rematch(Tx(get_db()), [gift["_id"] for gift in gifts])
    get_db().users.bulk_write(_build_updates(users, update), ordered=False)
    return gifts


def _build_updates(users: list[UserRow], update: dict[str, Any]) -> list[UpdateMany]:
    """Return the updates of the users who have not changed since the read. The others stay due.

    All users of an import's batch have the same mark. One update of all of them takes MongoDB half
    as long as an update of each.
    """
    alike: defaultdict[datetime, list[ObjectId]] = defaultdict(list)
    for user in users:
        alike[user["rematch_due"]].append(user["_id"])
    return [
        UpdateMany({"_id": {"$in": ids}, "rematch_due": mark}, update)
        for mark, ids in alike.items()
    ]


def _gifts(users: list[UserRow], after: ObjectId | None = None) -> list[DonationRow]:
    """Return gifts from the users' mailboxes: at most one more than fits into one batch."""
    mailboxes = {
        name
        for user in users
        for name in (*user.get("rematch_mailboxes", ()), *list_user_mailboxes(user))
    }
    query: dict[str, Any] = {
        "organization_id": users[0]["organization_id"],
        "donor_mailbox": {"$in": sorted(mailboxes)},
    }
    if after:
        query["_id"] = {"$gt": after}
    found = get_db().donations.find(query, {"fundraiser_id": 1}).sort("_id", 1)
    return list(found.limit(MARKED_GIFTS_PER_BATCH + 1))
