"""Which gifts must look again for their email, because an email came, changed or went.

The gifts are marked in the transaction that settles or changes the email. That is enough whatever
the race: a transaction that decides one of these gifts meanwhile writes it, too, so one of the two
fails with a write conflict, and when it starts again it sees what the other did.
"""

from collections.abc import Sequence
from typing import Any

from bson import ObjectId
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents.clock import now
from documents.engine.contribution import Row

MARKED_A_BATCH = 500
# What a match says of a gift's email; gone when the email is.
MATCHED = ("match", "decision", "email_id", "mailing_id", "mailing_donor_id")


def gifts_of_deleted(database: Database, session: ClientSession, emails: Sequence[Row]) -> None:
    """Gifts that were matched to an email that is being deleted.

    A link that was passed on may have brought tens of thousands, more than fit into the life of
    a transaction: when there are more, the emails stay due, and the next batch goes on.
    """
    deleted = {email["_id"]: email for email in emails if email.get("deleted_at")}
    if not deleted:
        return
    query = {"email_id": {"$in": list(deleted)}}
    found = database.donations.find(query, {"_id": 1}, session=session).limit(MARKED_A_BATCH)
    gifts = [row["_id"] for row in found]
    _mark(database, session, {"_id": {"$in": gifts}})
    if len(gifts) == MARKED_A_BATCH:
        for email in deleted.values():
            del email["due"]  # as read: so settling does not take the mark away


def gifts_of_new(database: Database, session: ClientSession, emails: Sequence[Row]) -> None:
    """Gifts from an address that an email has now been sent to: it may have led to them."""
    live = [email for email in emails if not email.get("deleted_at")]
    by_fundraiser: dict[ObjectId, set[ObjectId]] = {}
    for email in live:
        by_fundraiser.setdefault(email["fundraiser_id"], set()).add(email["user_id"])
    for fundraiser_id, user_ids in by_fundraiser.items():
        users = database.users.find(
            {"_id": {"$in": list(user_ids)}}, {"address": 1}, session=session
        )
        addresses = [user["address"] for user in users if "address" in user]
        query = {
            "fundraiser_id": fundraiser_id,
            "donor_address": {"$in": addresses},
            "match": {"$ne": "direct"},
        }
        _mark(database, session, query)


def _mark(database: Database, session: ClientSession, query: dict[str, Any]) -> None:
    update = {"$set": {"due": now()}, "$unset": dict.fromkeys(MATCHED, "")}
    database.donations.update_many(query, update, session=session)
