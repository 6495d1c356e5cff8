"""Recurring gifts. `recurring_id` groups a plan's instalments, and later ones follow the first.

A transaction that changes the first instalment or its match also marks the instalments that follow
something else, so that they are decided again. It writes them. So a transaction that decides one of
them at the same moment fails with a write conflict, and then sees the change.
"""

from collections.abc import Sequence
from typing import Any

from bson import ObjectId

from documents.conditions import MATCHED_STATUSES, is_matched
from documents.donation import is_repinned
from documents.matching.rematch import MARKED_A_BATCH, NOT_BY_PIN, mark
from matchback.engine import Row, Tx


class Plans:
    """The plans that a batch of gifts of one fundraiser belongs to."""

    def __init__(self, tx: Tx, gifts: Sequence[Row]) -> None:
        self._tx = tx
        self.firsts: dict[str, Row] = {}
        rows = {gift["_id"]: gift for gift in gifts}
        self._plans = {
            (gift["fundraiser_id"], gift["recurring_id"])
            for gift in gifts
            if gift.get("recurring_id")
        }
        for fundraiser_id, recurring_id in self._plans:
            first = tx.database.donations.find_one(
                _instalments(fundraiser_id, recurring_id),
                sort=[("donated_at", 1), ("_id", 1)],
                session=tx.session,
            )
            if first is not None:
                self.firsts[recurring_id] = rows.get(first["_id"], first)

    def first_of(self, gift: Row) -> Row | None:
        """The first instalment, if the gift is a later one that can follow it."""
        first = self.firsts.get(gift.get("recurring_id") or "")
        if first is None or first["_id"] == gift["_id"] or first.get("trouble"):
            return None
        return first

    def wants_decision(self, gift: Row) -> bool:
        """Whether it is to be matched now: its money was taken, and it has no match that holds.

        A later instalment is looked at whenever it is settled: what it follows may have changed.
        """
        if gift.get("deleted_at") or not is_matched(gift):
            return False
        if not gift.get("match") or gift.get("rematch"):
            return True
        if is_repinned(gift.get("pin"), gift["decision"]):
            return True
        return self.first_of(gift) is not None or bool(gift.get("follows"))

    def undecided(self, known: set[ObjectId]) -> list[Row]:
        """First instalments that are to be matched with the batch, though not part of it."""
        return [
            first
            for first in self.firsts.values()
            if first["_id"] not in known and not first.get("trouble") and self.wants_decision(first)
        ]

    def mark_astray(self, decided: set[ObjectId]) -> None:
        """Mark instalments that follow another gift than the first, or not to where it is now.

        A bounded number: each that is settled then marks the next ones.

        Args:
            decided: the gifts of this batch, which are right.
        """
        for fundraiser_id, recurring_id in self._plans:
            first = self.firsts.get(recurring_id)
            if first is None or first.get("trouble"):
                continue
            astray = {
                **_instalments(fundraiser_id, recurring_id),
                "_id": {"$nin": [*decided, first["_id"]]},
                "rematch": None,
                **NOT_BY_PIN,
                "$or": [{name: {"$ne": value}} for name, value in _following(first).items()],
            }
            found = self._tx.database.donations.find(astray, {"_id": 1}, session=self._tx.session)
            ids = [row["_id"] for row in found.limit(MARKED_A_BATCH)]
            mark(self._tx, ids)


def _following(first: Row) -> dict[str, Any]:
    return {
        "follows": first["_id"],
        "match": first.get("match"),
        "email_id": first.get("email_id"),
    }


def _instalments(fundraiser_id: ObjectId, recurring_id: str) -> dict[str, Any]:
    return {
        "fundraiser_id": fundraiser_id,
        "recurring_id": {"$type": "string", "$eq": recurring_id},
        "status": {"$in": MATCHED_STATUSES},
        "deleted_at": None,
    }
