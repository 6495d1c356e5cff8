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
from documents.storage.former_match import list_stored_names, read_match
from documents.values.time import now
from matchback.engine import Tx

MARKED_GIFTS_PER_BATCH = 500
# Not `pin`: the rules decide a gift whose pinned email was deleted, and its pin is kept.
NOT_PINNED_FILTER: dict[str, Any] = {"decision.rule": {"$ne": "pin"}}
# Neither a pin nor the gift itself named the email, so another email can be better.
OPEN_GIFTS_FILTER: dict[str, Any] = {
    "match": {"$in": [None, *list_stored_names("address"), *list_stored_names("none")]},
    **NOT_PINNED_FILTER,
}


def list_user_mailboxes(user: UserRow) -> list[str]:
    """Return the mailboxes that a user has or had."""
    return [*filter(None, [user.get("mailbox")]), *user.get("former_mailboxes", ())]


def mark_gifts_of_deleted(tx: Tx, emails: Sequence[EmailRow]) -> set[ObjectId]:
    """Mark the gifts of emails that are being deleted. Return the emails that have more gifts.

    A link that donors pass on can lead to tens of thousands of gifts, which are too many for one
    transaction. So these emails stay due, and the next batch continues.
    """
    deleted = [email["_id"] for email in emails if email.get("deleted_at")]
    if not deleted:
        return set()
    query = {"email_id": {"$in": deleted}, "rematch": None}
    found = tx.database.donations.find(query, {"_id": 1}, session=tx.session).limit(
        MARKED_GIFTS_PER_BATCH
    )
    gifts = [row["_id"] for row in found]
    mark_for_rematch(tx, gifts)
    return set(deleted) if len(gifts) == MARKED_GIFTS_PER_BATCH else set()


def build_rematch_marks() -> dict[str, Any]:
    """Return the marks with which a worker decides a gift again."""
    return {"due": now(), "rematch": True}


def mark_for_rematch(tx: Tx, gift_ids: Sequence[ObjectId]) -> None:
    """Mark gifts so that a worker decides them again."""
    if gift_ids:
        these = {"_id": {"$in": list(gift_ids)}}
        tx.database.donations.update_many(
            these, {"$set": build_rematch_marks()}, session=tx.session
        )


def mark_astray(tx: Tx, firsts: Iterable[DonationRow], decided: set[ObjectId]) -> None:
    """Mark instalments that follow another gift, or whose match differs from the first one's.

    The number is bounded, because each marked instalment marks the next ones when it is settled.
    This writes the instalments. So a transaction that decides one of them at the same moment fails
    with a write conflict, and then sees the change.

    Args:
        firsts: the first instalments of the plans, as they are now.
        decided: the gifts of this batch, whose matches are current.
    """
    for first in firsts:
        if first.get("trouble"):
            continue
        right = {"follows": [first["_id"]], **_list_followed_values(first)}
        astray = {
            **counted_instalments(first["fundraiser_id"], first["recurring_id"]),
            "_id": {"$nin": [*decided, first["_id"]]},
            "rematch": None,
            **NOT_PINNED_FILTER,
            "$or": [{name: {"$nin": values}} for name, values in right.items()],
        }
        found = tx.database.donations.find(astray, {"_id": 1}, session=tx.session)
        mark_for_rematch(tx, [row["_id"] for row in found.limit(MARKED_GIFTS_PER_BATCH)])


def _list_followed_values(first: DonationRow) -> dict[str, list[Any]]:
    """Return the values that an instalment must have from the first, under all stored names."""
    return {"match": list_stored_names(read_match(first)), "email_id": [first.get("email_id")]}
