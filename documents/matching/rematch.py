"""Rematching: marks for gifts whose match can change, because something that it depends on changed.

The transaction that settles or changes an email marks the gifts. That suffices whatever the race: a
transaction that decides one of these gifts writes it and the emails that it considered. So one of
the two fails with a write conflict, starts again, and sees what the other did. If there are too
many gifts for one transaction, it leaves a mark or a note. late_touches.py and user_changes.py mark
the gifts from there.
"""

from collections.abc import Sequence
from typing import Any

from bson import ObjectId

from documents.values.time import now
from matchback.engine import Row, Tx

MARKED_A_BATCH = 500
# Not `pin`: the rules decide a gift whose pinned email was deleted, and its pin is kept.
NOT_BY_PIN: dict[str, Any] = {"decision.rule": {"$ne": "pin"}}
# Decided neither by a pin nor by what the gift itself says: another email might do better.
OPEN: dict[str, Any] = {"match": {"$in": [None, "indirect", "unresolved"]}, **NOT_BY_PIN}


def mailboxes_of(user: Row) -> list[str]:
    """Where mail to a user goes, or went."""
    return [*filter(None, [user.get("mailbox")]), *user.get("former_mailboxes", ())]


def gifts_of_deleted(tx: Tx, emails: Sequence[Row]) -> None:
    """Gifts that were matched to an email that is being deleted.

    A link that was passed on may have brought tens of thousands, more than fit into the life of
    a transaction: when there are more, the emails stay due, and the next batch goes on.
    """
    deleted = {email["_id"]: email for email in emails if email.get("deleted_at")}
    if not deleted:
        return
    query = {"email_id": {"$in": list(deleted)}, "rematch": None}
    found = tx.database.donations.find(query, {"_id": 1}, session=tx.session).limit(MARKED_A_BATCH)
    gifts = [row["_id"] for row in found]
    mark(tx, gifts)
    if len(gifts) == MARKED_A_BATCH:
        for email in deleted.values():
            del email["due"]  # as read: so settling does not take the mark away


def again() -> Row:
    """What a gift is given to look again for its email when it is settled, which is soon."""
    return {"due": now(), "rematch": True}


def mark(tx: Tx, gift_ids: Sequence[ObjectId]) -> None:
    """Let these gifts look again."""
    if gift_ids:
        these = {"_id": {"$in": list(gift_ids)}}
        tx.database.donations.update_many(these, {"$set": again()}, session=tx.session)
