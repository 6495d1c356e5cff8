"""The effect of new users and new addresses on stored gifts.

The write that adds a user or changes an address also marks the user. A job then marks the gifts,
which look for their user and email again when they are settled. A gift that is stored after the job
read the gifts is settled after the user was stored, and so it knows the user. Running twice changes
nothing, so no transaction is needed. A transaction would conflict with everything that counts on
users.
"""

from collections import defaultdict
from typing import Any

from bson import ObjectId
from mongoengine import get_db
from pymongo import UpdateOne

from documents.matching.rematch import MARKED_A_BATCH, mailboxes_of, mark
from documents.rows.donation import DonationRow
from documents.rows.user import UserRow
from documents.storage import shutdown
from matchback.engine import Tx

DUE: dict[str, Any] = {"rematch_due": {"$type": "date"}}
USERS_A_BATCH = 500
MARKS = ("rematch_due", "rematch_mailboxes", "rematch_page")
FIELDS = ("organization_id", "mailbox", "former_mailboxes", *MARKS)
DONE: dict[str, Any] = {"$unset": dict.fromkeys(MARKS, "")}


def follow() -> set[ObjectId]:
    """Mark the gifts of all users who are due. Returns the fundraisers that have marked gifts."""
    fundraisers: set[ObjectId] = set()
    while not shutdown.has_begun() and (users := _due()):
        by_organization: defaultdict[ObjectId, list[UserRow]] = defaultdict(list)
        for user in users:
            by_organization[user["organization_id"]].append(user)
        for theirs in by_organization.values():
            fundraisers |= {gift["fundraiser_id"] for gift in _follow(theirs)}
    return fundraisers


def _due() -> list[UserRow]:
    found = get_db().users.find(DUE, dict.fromkeys(FIELDS, 1)).sort("rematch_due", 1)
    return list(found.limit(USERS_A_BATCH))


def _follow(users: list[UserRow]) -> list[DonationRow]:
    """Mark the gifts of users of one organization; fewer users at a time, should it be too many."""
    gifts, update = _gifts(users), DONE
    if len(gifts) > MARKED_A_BATCH:
        if len(users) > 1:
            half = len(users) // 2
            return _follow(users[:half]) + _follow(users[half:])
        page = users[0].get("rematch_page") or {}
        after = page.get("after") if page.get("due") == users[0]["rematch_due"] else None
        gifts = _gifts(users, after)
        if len(gifts) > MARKED_A_BATCH:
            gifts.pop()
            reached = {"due": users[0]["rematch_due"], "after": gifts[-1]["_id"]}
            update = {"$set": {"rematch_page": reached}}
    mark(Tx(get_db()), [gift["_id"] for gift in gifts])
    # As they were read: who has changed since is due again.
    read = [{"_id": user["_id"], "rematch_due": user["rematch_due"]} for user in users]
    get_db().users.bulk_write([UpdateOne(one, update) for one in read], ordered=False)
    return gifts


def _gifts(users: list[UserRow], after: ObjectId | None = None) -> list[DonationRow]:
    """Gifts from the mailboxes of users of one organization, one more than are marked at once."""
    mailboxes = {
        name for user in users for name in (*user.get("rematch_mailboxes", ()), *mailboxes_of(user))
    }
    query: dict[str, Any] = {
        "organization_id": users[0]["organization_id"],
        "donor_mailbox": {"$in": sorted(mailboxes)},
    }
    if after:
        query["_id"] = {"$gt": after}
    found = get_db().donations.find(query, {"fundraiser_id": 1}).sort("_id", 1)
    return list(found.limit(MARKED_A_BATCH + 1))
