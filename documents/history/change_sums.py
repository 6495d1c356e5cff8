"""Sums of gift changes by kind at the end of each hour, so that explaining costs the same later.

Like a sum of the journal, each sum includes all changes of a fundraiser before its hour. So both
share a collection. A missing sum costs time, but changes no figure.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from bson import ObjectId

from documents.history.gift_rules import GiftChangeKind
from documents.history.journal import JOURNAL, SUMS_COLLECTION
from matchback.engine import JOURNAL_HOUR, Amounts, Tx, add_amounts, from_text

GIFT_CHANGES_COLLECTION = "gift_changes"
ONE_MILLISECOND = timedelta(milliseconds=1)
SummedFigure = Literal["changes", "count", "raised"]


def _count_state(state: str) -> dict[str, Any]:
    """Return an expression: 1 if the gift counted in this state, otherwise 0."""
    return {"$cond": [{"$ifNull": [f"$changes.{state}", False]}, 1, 0]}


def _read_amount(state: str) -> dict[str, Any]:
    return {"$ifNull": [f"$changes.{state}.amount", 0]}


SUMMED_FIGURES: dict[SummedFigure, dict[str, Any]] = {
    "changes": {"$sum": 1},
    "count": {"$sum": {"$subtract": [_count_state("after"), _count_state("before")]}},
    "raised": {"$sum": {"$subtract": [_read_amount("after"), _read_amount("before")]}},
}


def make_sum_target(fundraiser_id: ObjectId) -> str:
    """Return the `of` of a fundraiser's sums of gift changes."""
    return f"changes:{fundraiser_id}"


def sum_changes(tx: Tx, fundraiser_id: ObjectId, until: datetime) -> Amounts:
    """Return the sums of a fundraiser's changes until a time, inclusive.

    The keys are "<kind>.<currency>.<figure>". A kind is the first one of a change.
    """
    of = make_sum_target(fundraiser_id)
    known = tx.database[SUMS_COLLECTION].find_one(
        {"of": of, "at": {"$lte": until}}, sort=[("at", -1)], session=tx.session
    )
    total = dict(from_text(known["total"])) if known else {}
    since = {"$gte": known["at"]} if known else {}
    query = {"fundraiser_id": fundraiser_id, "at": {**since, "$lte": until}}
    add_amounts(total, _group(tx, query))
    return total


def _group(tx: Tx, query: dict[str, Any]) -> Amounts:
    by = {"kind": {"$first": "$changes.kinds"}, "currency": "$changes.currency"}
    groups = tx.database[GIFT_CHANGES_COLLECTION].aggregate(
        [{"$match": query}, {"$unwind": "$changes"}, {"$group": {"_id": by, **SUMMED_FIGURES}}],
        session=tx.session,
    )
    return {
        f"{group['_id']['kind']}.{group['_id']['currency']}.{figure}": group[figure]
        for group in groups
        for figure in SUMMED_FIGURES
    }


def split_sum_keys(
    sums: Amounts,
) -> Iterator[tuple[tuple[GiftChangeKind, str, SummedFigure], int]]:
    """Yield the kind, currency and figure of each sum, with its amount."""
    for key, amount in sums.items():
        kind, currency, figure = key.split(".")
        yield (cast("GiftChangeKind", kind), currency, cast("SummedFigure", figure)), amount


def sum_changes_of_hour(tx: Tx, hour: datetime) -> None:
    """Store the sums at the end of a full hour. A repeated call changes nothing.

    Call this for one hour after another, when all transactions of the hour have ended.
    """
    end = hour + JOURNAL_HOUR
    span = {"$gte": ObjectId.from_datetime(hour), "$lt": ObjectId.from_datetime(end)}
    changed = tx.database[GIFT_CHANGES_COLLECTION].distinct("fundraiser_id", {"_id": span})
    totals = {make_sum_target(id_): sum_changes(tx, id_, end - ONE_MILLISECOND) for id_ in changed}
    if totals:
        JOURNAL.store_sums(tx, totals, end)
