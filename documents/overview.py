"""All fundraisers of an organization at a glance, in any order: what the dashboard begins with.

Read from counters alone. Sums of money have no index, for there is one for each currency; an
organization has hundreds of fundraisers, so its latest thousand are read and put in order here.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from bson import ObjectId
from mongoengine import get_db

from documents.address import fold
from documents.clock import now
from documents.rates import nonzero, ratio

READ = 1_000
SPARK_DAYS = 30
SHOWN = dict.fromkeys(
    ("name", "goal_amount", "goal_currency", "raised", "donations_count", "donors", "created_at"), 1
) | {f"funnel.{name}": 1 for name in ("sent", "delivered", "donated")}

Order = Literal["name", "raised", "goal", "gifts", "sent", "conversion", "created"]


@dataclass(frozen=True)
class FundraiserLine:
    """One fundraiser. `reached`: raised of its goal, a fraction; None without a goal."""

    id: ObjectId
    name: str
    created_at: datetime
    raised: dict[str, int]
    goal: dict[str, Any] | None
    reached: float | None
    gifts: int
    donors: int
    sent: int
    conversion: float | None


def overview(
    organization_id: ObjectId, *, sort: Order, descending: bool, search: str = ""
) -> list[FundraiserLine]:
    """The organization's latest thousand fundraisers in order, those whose name has the words."""
    found = (
        get_db()
        .fundraisers.find({"organization_id": organization_id, "deleted_at": None}, SHOWN)
        .sort("_id", -1)
        .limit(READ)
    )
    words = fold(search).split()
    lines = [_line(row) for row in found if all(word in fold(row["name"]) for word in words)]
    return in_order(lines, sort, descending=descending)


def main_currency(lines: Iterable[FundraiserLine]) -> str:
    """The one in which most of them raise; by it they are put in the order of their money."""
    counts = Counter(code for line in lines for code in line.raised)
    return min(counts, key=lambda code: (-counts[code], code), default="USD")


def in_order(
    lines: Sequence[FundraiserLine], sort: Order, *, descending: bool
) -> list[FundraiserLine]:
    """By a column; what has nothing there comes last either way."""
    currency = main_currency(lines)
    by: dict[Order, Any] = {
        "name": lambda line: fold(line.name),
        "raised": lambda line: line.raised.get(currency),
        "goal": lambda line: line.reached,
        "gifts": lambda line: line.gifts,
        "sent": lambda line: line.sent,
        "conversion": lambda line: line.conversion,
        "created": lambda line: line.id,
    }
    has = [line for line in lines if by[sort](line) is not None]
    has_not = [line for line in lines if by[sort](line) is None]
    return sorted(has, key=by[sort], reverse=descending) + has_not


def sparklines(ids: Sequence[ObjectId], currency: str) -> dict[ObjectId, list[int]]:
    """What each raised a day in the last thirty, oldest first, in minor units. UTC days: a line
    without numbers needs no zone."""
    today = now().date()
    days = [today - timedelta(days=ago) for ago in range(SPARK_DAYS - 1, -1, -1)]
    keys = {_day_id(id_, day): (id_, place) for id_ in ids for place, day in enumerate(days)}
    raised = {id_: [0] * SPARK_DAYS for id_ in ids}
    for row in get_db().gift_days.find({"_id": {"$in": list(keys)}}, {f"raised.{currency}": 1}):
        id_, place = keys[row["_id"]]
        raised[id_][place] = sum(row.get("raised", {}).get(currency, {}).values())
    return raised


def _day_id(id_: ObjectId, day: date) -> str:
    return f"fundraiser:{id_}:{day.isoformat()}"


def _line(row: dict[str, Any]) -> FundraiserLine:
    funnel, raised = row.get("funnel", {}), nonzero(row.get("raised", {}))
    goal, currency = row.get("goal_amount"), row.get("goal_currency")
    return FundraiserLine(
        id=row["_id"],
        name=row["name"],
        created_at=row["created_at"],
        raised=raised,
        goal={"amount": goal, "currency": currency} if goal else None,
        reached=ratio(raised.get(currency or "", 0), goal) if goal else None,
        gifts=row.get("donations_count", 0),
        donors=row.get("donors", 0),
        sent=funnel.get("sent", 0),
        conversion=ratio(funnel.get("donated", 0), funnel.get("delivered", 0)),
    )
