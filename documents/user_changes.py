"""What a new user, or a new address of one, means for gifts that are stored already.

A user is marked in the same write that adds it or changes its address. A job then marks the gifts
from there, in pages, and they look for their user and their email again when they are settled. A
gift that is stored after a page was read is settled after the user was, and so knows it.
"""

from collections import defaultdict
from typing import Any

from bson import ObjectId
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents.engine.contribution import Row
from documents.rematching import MARKED_A_BATCH, mark
from documents.transaction import in_transaction

DUE: dict[str, Any] = {"rematch_due": {"$type": "date"}}
USERS_A_BATCH = 500
DONE = {"$unset": dict.fromkeys(("rematch_due", "rematch_mailboxes", "rematch_after"), "")}


def follow() -> set[ObjectId]:
    """Mark the gifts of all users who are due. Returns the fundraisers that have marked gifts."""
    fundraisers: set[ObjectId] = set()
    while (found := in_transaction(_follow)) is not None:
        fundraisers |= found
    return fundraisers


def _follow(database: Database, session: ClientSession) -> set[ObjectId] | None:
    """The next users; None when there are none."""
    found = database.users.find(DUE, session=session).sort("rematch_due", 1)
    users = list(found.limit(USERS_A_BATCH))
    if not users:
        return None
    by_organization: defaultdict[ObjectId, list[Row]] = defaultdict(list)
    for user in users:
        by_organization[user["organization_id"]].append(user)
    fundraisers: set[ObjectId] = set()
    for theirs in by_organization.values():
        gifts = _gifts(database, session, theirs)
        if len(gifts) > MARKED_A_BATCH:
            gifts = _page(database, session, theirs[0])
        else:
            done = {"_id": {"$in": [user["_id"] for user in theirs]}}
            database.users.update_many(done, DONE, session=session)
        mark(database, session, [gift["_id"] for gift in gifts])
        fundraisers |= {gift["fundraiser_id"] for gift in gifts}
    return fundraisers


def _gifts(
    database: Database, session: ClientSession, users: list[Row], after: ObjectId | None = None
) -> list[Row]:
    """Gifts from the mailboxes of users of one organization, one more than are marked at once."""
    mailboxes = {name for user in users for name in user.get("rematch_mailboxes", ())}
    query: Row = {
        "organization_id": users[0]["organization_id"],
        "donor_mailbox": {"$in": sorted(mailboxes)},
    }
    if after:
        query["_id"] = {"$gt": after}
    found = database.donations.find(query, {"fundraiser_id": 1}, session=session).sort("_id", 1)
    return list(found.limit(MARKED_A_BATCH + 1))


def _page(database: Database, session: ClientSession, user: Row) -> list[Row]:
    """The next gifts of one user who has many, noting how far that is."""
    gifts = _gifts(database, session, [user], user.get("rematch_after"))
    page = gifts[:MARKED_A_BATCH]
    further = {"$set": {"rematch_after": page[-1]["_id"]}} if len(gifts) > len(page) else DONE
    database.users.update_one({"_id": user["_id"]}, further, session=session)
    return page
