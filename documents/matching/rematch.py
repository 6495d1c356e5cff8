"""Rematching: marks for gifts whose match can change, because something that it depends on changed.

The transaction that settles or changes an email marks the gifts. That suffices whatever the race: a
transaction that decides one of these gifts writes it and the emails that it considered. So one of
the two fails with a write conflict, starts again, and sees what the other did. If there are too
many gifts for one transaction, it leaves a mark or a note. late_touches.py and user_changes.py mark
the gifts from there.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from bson import ObjectId

from documents.matching.instalments import counted_instalments
from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow
from documents.rows.user import UserRow
from documents.values.time import now
from matchback.engine import Tx

MARKED_A_BATCH = 500
FOLLOWED = ("match", "email_id")  # what a later instalment has of the first
# Not `pin`: the rules decide a gift whose pinned email was deleted, and its pin is kept.
NOT_BY_PIN: dict[str, Any] = {"decision.rule": {"$ne": "pin"}}
# Decided neither by a pin nor by what the gift itself says: another email might do better.
OPEN: dict[str, Any] = {"match": {"$in": [None, "indirect", "unresolved"]}, **NOT_BY_PIN}


def mailboxes_of(user: UserRow) -> list[str]:
    """Where mail to a user goes, or went."""
    return [*filter(None, [user.get("mailbox")]), *user.get("former_mailboxes", ())]


def gifts_of_deleted(tx: Tx, emails: Sequence[EmailRow]) -> set[ObjectId]:
    """Mark gifts that were matched to emails that are being deleted. Return the emails with more.

    A link that was passed on may have brought tens of thousands of gifts, more than a transaction
    can mark. So these emails stay due, and the next batch goes on.
    """
    deleted = [email["_id"] for email in emails if email.get("deleted_at")]
    if not deleted:
        return set()
    query = {"email_id": {"$in": deleted}, "rematch": None}
    found = tx.database.donations.find(query, {"_id": 1}, session=tx.session).limit(MARKED_A_BATCH)
    gifts = [row["_id"] for row in found]
    mark(tx, gifts)
    return set(deleted) if len(gifts) == MARKED_A_BATCH else set()


def again() -> dict[str, Any]:
    """What a gift is given to look again for its email when it is settled, which is soon."""
    return {"due": now(), "rematch": True}


def mark(tx: Tx, gift_ids: Sequence[ObjectId]) -> None:
    """Let these gifts look again."""
    if gift_ids:
        these = {"_id": {"$in": list(gift_ids)}}
        tx.database.donations.update_many(these, {"$set": again()}, session=tx.session)


def mark_astray(tx: Tx, firsts: Iterable[DonationRow], decided: set[ObjectId]) -> None:
    """Mark instalments that follow another gift than the first, or not to where it is now.

    The number is bounded, because each marked instalment marks the next ones when it is settled.
    This writes the instalments. So a transaction that decides one of them at the same moment fails
    with a write conflict, and then sees the change.

    Args:
        firsts: the first instalments of the plans, as they are now.
        decided: the gifts of this batch, which are right.
    """
    for first in firsts:
        if first.get("trouble"):
            continue
        right = {"follows": first["_id"], **{name: first.get(name) for name in FOLLOWED}}
        astray = {
            **counted_instalments(first["fundraiser_id"], first["recurring_id"]),
            "_id": {"$nin": [*decided, first["_id"]]},
            "rematch": None,
            **NOT_BY_PIN,
            "$or": [{name: {"$ne": value}} for name, value in right.items()],
        }
        found = tx.database.donations.find(astray, {"_id": 1}, session=tx.session)
        mark(tx, [row["_id"] for row in found.limit(MARKED_A_BATCH)])
