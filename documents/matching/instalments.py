"""Recurring gifts: `recurring_id` groups a plan's instalments, and later ones follow the first.

Pure. `rematch.py` marks the instalments that do not follow the current first one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bson import ObjectId

from documents.conditions import MATCHABLE_STATUSES, is_matchable
from documents.donation import is_repinned
from documents.rows.donation import DonationRow

Firsts = Mapping[str, DonationRow]  # the first instalment of each plan, by `recurring_id`


def first_of(gift: DonationRow, firsts: Firsts) -> DonationRow | None:
    """Return the first instalment that the gift follows, or None if the gift follows none."""
    first = firsts.get(gift.get("recurring_id") or "")
    if first is None or first["_id"] == gift["_id"] or first.get("trouble"):
        return None
    return first


def wants_decision(gift: DonationRow, firsts: Firsts) -> bool:
    """Return whether the gift was paid and needs a new decision.

    A later instalment needs one each time it is settled, because the first can have changed.
    """
    if gift.get("deleted_at") or not is_matchable(gift):
        return False
    if not gift.get("match") or gift.get("rematch"):
        return True
    if is_repinned(gift.get("pin"), gift["decision"]):
        return True
    return first_of(gift, firsts) is not None or bool(gift.get("follows"))


def gifts_to_decide(gifts: Sequence[DonationRow], firsts: Firsts) -> list[DonationRow]:
    """Return the gifts and first instalments that need a new decision."""
    others = [first for first in _others(gifts, firsts) if not first.get("trouble")]
    return [gift for gift in (*gifts, *others) if wants_decision(gift, firsts)]


def gifts_and_firsts(gifts: Sequence[DonationRow], firsts: Firsts) -> list[DonationRow]:
    """Return all the gifts, and the first instalments of their plans."""
    return [*_others(gifts, firsts), *gifts]


def _others(gifts: Sequence[DonationRow], firsts: Firsts) -> list[DonationRow]:
    known = {gift["_id"] for gift in gifts}
    return [first for first in firsts.values() if first["_id"] not in known]


def counted_instalments(fundraiser_id: ObjectId, recurring_id: str) -> dict[str, Any]:
    """Return the query for the paid instalments of a plan."""
    return {
        "fundraiser_id": fundraiser_id,
        "recurring_id": {"$type": "string", "$eq": recurring_id},
        "status": {"$in": MATCHABLE_STATUSES},
        "deleted_at": None,
    }
