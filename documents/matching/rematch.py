"""Rematching: marks for gifts whose match can change because of late data.

The transaction that settles or changes an email also marks the gifts. A concurrent transaction that
decides one of these gifts writes the gift and the emails that it considered. So one of the two
fails with a write conflict, starts again, and sees the other's changes. If there are too many gifts
for one transaction, it leaves a mark or a note. late_touches.py and user_changes.py then mark the
gifts.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from bson import ObjectId

from documents.match import find_linked_gifts
from documents.matching.instalments import counted_instalments
from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow
from documents.rows.user import UserRow
from documents.storage.former_match import list_stored_names, read_match
from documents.values.time import now
from matchback.engine import Tx

MARKED_GIFTS_PER_BATCH = 500
# Do not filter by `pin`: a gift keeps its pin after the pinned email is deleted, and the other
# rules then decide the gift.
NOT_PINNED_FILTER: dict[str, Any] = {"decision.rule": {"$ne": "pin"}}
# Neither a pin nor a reference in the gift decided these, so a late email can match better.
OPEN_MATCHES = ("address", "none")
OPEN_GIFTS_FILTER: dict[str, Any] = {
    "match": {"$in": [None, *list_stored_names("address"), *list_stored_names("none")]},
    **NOT_PINNED_FILTER,
}


def list_user_mailboxes(user: UserRow) -> list[str]:
    """Return the user's current and former mailboxes."""
    return [*filter(None, [user.get("mailbox")]), *user.get("former_mailboxes", ())]


def mark_gifts_of_deleted(tx: Tx, emails: Sequence[EmailRow]) -> set[ObjectId]:
    """Mark gifts that match deleted emails. Return the emails that may have more gifts.

    A shared link can lead to tens of thousands of gifts, too many to mark in one transaction. The
    returned emails stay due, and the next batch continues.
    """
    deleted = [email["_id"] for email in emails if email.get("deleted_at")]
    if not deleted:
        return set()
    found = find_linked_gifts(tx, "email_id", deleted, {"rematch": None}, {"_id": 1})
    gifts = [row["_id"] for row in islice(found, MARKED_GIFTS_PER_BATCH)]
    mark_for_rematch(tx, gifts)
    return set(deleted) if len(gifts) == MARKED_GIFTS_PER_BATCH else set()


def build_rematch_marks() -> dict[str, Any]:
    """Return the fields that make a gift due for rematch."""
    return {"due": now(), "rematch": True}


def mark_for_rematch(tx: Tx, gift_ids: Sequence[ObjectId]) -> None:
    """Mark gifts for rematch."""
    if gift_ids:
        these = {"_id": {"$in": list(gift_ids)}}
        tx.database.donations.update_many(
            these, {"$set": build_rematch_marks()}, session=tx.session
        )


def mark_astray(tx: Tx, firsts: Iterable[DonationRow], decided: set[ObjectId]) -> None:
    """Mark instalments that differ from their first instalment's match, or follow another gift.

    The number per call is limited, because settling a marked instalment marks the next ones. A
    concurrent transaction that decides one of these instalments fails with a write conflict. Its
    retry sees the change.

    Args:
        firsts: the current first instalments of the plans.
        decided: the IDs of the gifts that this batch decided, which need no mark.
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
