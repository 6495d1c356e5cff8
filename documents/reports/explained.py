"""Explanation of the difference between two reports of a fundraiser, gift by gift."""

from collections import Counter
from datetime import datetime
from typing import Any, TypedDict

from documents.errors import Unacceptable
from documents.fundraiser import Fundraiser
from documents.history.gift_rules import GIFT_CHANGE_KINDS, GiftChangeKind
from documents.reports.figures import Amounts
from documents.reports.past_report import check_past_time, open_snapshot, read_at
from documents.values.rates import drop_zero_totals
from matchback.engine import Tx


class GiftTotals(TypedDict):
    """The number and amount of the gifts that count."""

    count: int
    raised: Amounts


class KindTotals(GiftTotals):
    """The sum of all changes of a kind. `changes` is their number."""

    changes: int


class Explanation(TypedDict):
    """The figures at two times, and what each kind of change adds.

    `corrections` are repairs of incorrect counters, which no gift explains.
    """

    before: GiftTotals
    after: GiftTotals
    by_kind: dict[GiftChangeKind, KindTotals]
    corrections: GiftTotals


def build_change_query(fundraiser: Fundraiser, since: datetime, until: datetime) -> dict[str, Any]:
    """Return the condition of the changes after a time, until another time inclusive."""
    return {"fundraiser_id": fundraiser.id, "at": {"$gt": since, "$lte": until}}


def check_change_times(fundraiser: Fundraiser, since: datetime, until: datetime) -> None:
    """Check that the changes between two times are known.

    Raises:
        Unacceptable: one of the times is not known, or they are not in order.
    """
    check_past_time(fundraiser, until, "/to")
    check_past_time(fundraiser, min(since, until), "/from")
    if since > until:
        raise Unacceptable("/from", "order", "Must not be after `to`.")


def explain_difference(fundraiser: Fundraiser, since: datetime, until: datetime) -> Explanation:
    """Return what each kind of change adds to the figures between two times.

    Both times must have passed `check_change_times`.
    """
    with open_snapshot() as tx:
        before, after = (_read_totals(tx, fundraiser, at) for at in (since, until))
        by_kind = _sum_by_kind(tx, build_change_query(fundraiser, since, until))
    explained: Counter[str] = Counter()
    for totals in by_kind.values():
        explained.update(totals["raised"])
    raised = Counter(after["raised"])
    raised.subtract(before["raised"])
    raised.subtract(explained)
    count = after["count"] - before["count"] - sum(one["count"] for one in by_kind.values())
    return {
        "before": before,
        "after": after,
        "by_kind": by_kind,
        "corrections": {"count": count, "raised": drop_zero_totals(raised)},
    }


def _read_totals(tx: Tx, fundraiser: Fundraiser, at: datetime) -> GiftTotals:
    then = read_at(tx, fundraiser, at)
    return {"count": then.donations_count, "raised": drop_zero_totals(then.raised)}


def _sum_by_kind(tx: Tx, query: dict[str, Any]) -> dict[GiftChangeKind, KindTotals]:
    of_gift = {
        "_id": {"kind": {"$first": "$changes.kinds"}, "currency": "$changes.currency"},
        "changes": {"$sum": 1},
        "count": {"$sum": {"$subtract": [_count_state("after"), _count_state("before")]}},
        "raised": {"$sum": {"$subtract": [_read_amount("after"), _read_amount("before")]}},
    }
    found = tx.database.gift_changes.aggregate(
        [{"$match": query}, {"$unwind": "$changes"}, {"$group": of_gift}],
        session=tx.session,
    )
    totals: dict[GiftChangeKind, KindTotals] = {
        kind: {"changes": 0, "count": 0, "raised": {}} for kind in GIFT_CHANGE_KINDS
    }
    for row in found:
        kind = totals[row["_id"]["kind"]]
        kind["changes"] += row["changes"]
        kind["count"] += row["count"]
        if row["raised"]:
            kind["raised"][row["_id"]["currency"]] = row["raised"]
    return totals


def _count_state(state: str) -> dict[str, Any]:
    """Return an expression: 1 if the gift counted in this state, otherwise 0."""
    return {"$cond": [{"$ifNull": [f"$changes.{state}", False]}, 1, 0]}


def _read_amount(state: str) -> dict[str, Any]:
    return {"$ifNull": [f"$changes.{state}.amount", 0]}
