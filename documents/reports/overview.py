"""All fundraisers of an organization, in any order: the dashboard's first page.

It reads counters only. Shares and sums of money have no index, because each currency would need
one. So MongoDB sorts an organization's fundraisers, which are hundreds, for each page.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from bson import ObjectId
from mongoengine import get_db

from documents.rows.collections import collection
from documents.rows.donation import GiftDayRow
from documents.values.rates import nonzero, ratio
from documents.values.time import now

SPARK_DAYS = 30
NAMES_IN_ANY_CASE = {"locale": "en", "strength": 1}
SHOWN = dict.fromkeys(
    (
        *("name", "goal_amount", "goal_currency", "raised", "gifts", "donations_count"),
        *("donors", "created_at", "funnel.sent", "funnel.delivered", "funnel.donated"),
    ),
    1,
)

Order = Literal["name", "raised", "goal", "gifts", "sent", "conversion", "created"]


@dataclass(frozen=True)
class FundraiserLine:
    """One fundraiser. `reached`: raised of its goal, a fraction; None without a goal.

    currency: the goal's, or the one of most of its gifts, or the organization's.
    """

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
    currency: str


@dataclass(frozen=True)
class Overview:
    """Some fundraisers in order, how many there are, and the currency of most gifts."""

    lines: list[FundraiserLine]
    count: int
    currency: str


def overview(
    organization_id: ObjectId,
    *,
    sort: Order,
    descending: bool,
    search: str = "",
    skip: int = 0,
    limit: int,
) -> Overview:
    """The organization's fundraisers, those whose name has all the words; what has nothing in the
    column that they are put in order by comes last either way."""
    query: dict[str, Any] = {"organization_id": organization_id, "deleted_at": None}
    words = [{"name": {"$regex": re.escape(word), "$options": "i"}} for word in search.split()]
    found = query | ({"$and": words} if words else {})
    currency = main_currency(organization_id)
    rows = get_db().fundraisers.aggregate(
        [
            {"$match": found},
            {"$project": SHOWN | {"by": _by(sort, currency)}},
            {"$addFields": {"has_none": {"$cond": [{"$eq": ["$by", None]}, 1, 0]}}},
            {"$sort": {"has_none": 1, "by": -1 if descending else 1, "_id": -1}},
            {"$skip": skip},
            {"$limit": limit},
        ],
        collation=NAMES_IN_ANY_CASE,
    )
    count = get_db().fundraisers.count_documents(found)
    return Overview([_line(row, currency) for row in rows], count, currency)


def main_currency(organization_id: ObjectId) -> str:
    """The one of most gifts to the organization; US dollars while there are none."""
    rows = get_db().fundraisers.aggregate(
        [
            {"$match": {"organization_id": organization_id, "deleted_at": None}},
            {"$project": {"gifts": {"$objectToArray": {"$ifNull": ["$gifts", {}]}}}},
            {"$unwind": "$gifts"},
            {"$group": {"_id": "$gifts.k", "number": {"$sum": "$gifts.v"}}},
            {"$sort": {"number": -1, "_id": 1}},
            {"$limit": 1},
        ]
    )
    return next((row["_id"] for row in rows), "USD")


def _by(sort: Order, currency: str) -> Any:
    """What a column is put in order by, or null where it shows nothing."""
    raised = {"$objectToArray": {"$ifNull": ["$raised", {}]}}
    of_goal = {"$filter": {"input": raised, "cond": {"$eq": ["$$this.k", "$goal_currency"]}}}
    columns: dict[Order, Any] = {
        "name": "$name",
        "raised": {"$ifNull": [f"$raised.{currency}", None]},
        "goal": _ratio({"$sum": {"$map": {"input": of_goal, "in": "$$this.v"}}}, "$goal_amount"),
        "gifts": {"$ifNull": ["$donations_count", 0]},
        "sent": {"$ifNull": ["$funnel.sent", 0]},
        "conversion": _ratio("$funnel.donated", "$funnel.delivered"),
        "created": "$_id",
    }
    return columns[sort]


def _ratio(part: Any, whole: str) -> dict[str, Any]:
    share = {"$divide": [{"$ifNull": [part, 0]}, whole]}
    return {"$cond": [{"$gt": [whole, 0]}, share, None]}


def sparklines(lines: Sequence[FundraiserLine]) -> dict[ObjectId, list[int]]:
    """What each raised a day in the last thirty, oldest first, in minor units of its currency.
    UTC days: a line without numbers needs no zone."""
    today = now().date()
    days = [today - timedelta(days=ago) for ago in range(SPARK_DAYS - 1, -1, -1)]
    keys = {
        f"fundraiser:{line.id}:{day.isoformat()}": (line, place)
        for line in lines
        for place, day in enumerate(days)
    }
    raised = {line.id: [0] * SPARK_DAYS for line in lines}
    for row in collection(get_db(), GiftDayRow).find({"_id": {"$in": list(keys)}}, {"raised": 1}):
        line, place = keys[row["_id"]]
        raised[line.id][place] = sum(row.get("raised", {}).get(line.currency, {}).values())
    return raised


def _line(row: dict[str, Any], main: str) -> FundraiserLine:
    funnel, raised, gifts = row.get("funnel", {}), row.get("raised", {}), row.get("gifts", {})
    goal, currency = row.get("goal_amount"), row.get("goal_currency")
    most = max(nonzero(gifts), key=gifts.__getitem__, default=main)
    return FundraiserLine(
        id=row["_id"],
        name=row["name"],
        created_at=row["created_at"],
        raised=nonzero(raised),
        goal={"amount": goal, "currency": currency} if goal else None,
        reached=ratio(raised.get(currency, 0), goal) if goal else None,
        gifts=row.get("donations_count", 0),
        donors=row.get("donors", 0),
        sent=funnel.get("sent", 0),
        conversion=ratio(funnel.get("donated", 0), funnel.get("delivered", 0)),
        currency=currency if goal and currency else most,
    )
