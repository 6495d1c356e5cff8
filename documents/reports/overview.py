"""The dashboard's first page: all fundraisers of an organization, sorted by any column.

The page reads only counters. Ratios and amounts have no index, because each currency would need its
own. So MongoDB sorts the organization's fundraisers for each page. An organization has hundreds.
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
from documents.values.rates import drop_zero_totals, ratio
from documents.values.time import now

SPARKLINE_DAYS = 30
CASE_INSENSITIVE_COLLATION = {"locale": "en", "strength": 1}
FUNDRAISER_LINE_FIELDS = dict.fromkeys(
    (
        *("name", "goal_amount", "goal_currency", "raised", "gifts", "donations_count"),
        *("donors", "created_at", "funnel.sent", "funnel.delivered", "funnel.donated"),
    ),
    1,
)

FundraiserOrder = Literal["name", "raised", "goal", "gifts", "sent", "conversion", "created"]


@dataclass(frozen=True)
class FundraiserLine:
    """One fundraiser.

    Attributes:
        reached: the ratio of the raised amount to the goal, or None without a goal.
        currency: the currency of the goal, or of most gifts, or the organization's main currency.
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
    """One page of fundraisers, their total number, and the organization's main currency."""

    lines: list[FundraiserLine]
    count: int
    currency: str


def list_fundraisers(
    organization_id: ObjectId,
    *,
    sort: FundraiserOrder,
    descending: bool,
    search: str = "",
    skip: int = 0,
    limit: int,
) -> Overview:
    """List one page of the organization's fundraisers whose names contain all search words.

    Fundraisers without a value in the sorted column come last in both directions.
    """
    query: dict[str, Any] = {"organization_id": organization_id, "deleted_at": None}
    words = [{"name": {"$regex": re.escape(word), "$options": "i"}} for word in search.split()]
    found = query | ({"$and": words} if words else {})
    currency = find_main_currency(organization_id)
    rows = get_db().fundraisers.aggregate(
        [
            {"$match": found},
            {"$project": FUNDRAISER_LINE_FIELDS | {"by": _by(sort, currency)}},
            {"$addFields": {"has_none": {"$cond": [{"$eq": ["$by", None]}, 1, 0]}}},
            {"$sort": {"has_none": 1, "by": -1 if descending else 1, "_id": -1}},
            {"$skip": skip},
            {"$limit": limit},
        ],
        collation=CASE_INSENSITIVE_COLLATION,
    )
    count = get_db().fundraisers.count_documents(found)
    return Overview([_line(row, currency) for row in rows], count, currency)


def find_main_currency(organization_id: ObjectId) -> str:
    """Return the currency of most gifts to the organization, or USD if there are no gifts."""
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


def _by(sort: FundraiserOrder, currency: str) -> Any:
    """Return the expression that sorts a column. It is null where the column is empty."""
    raised = {"$objectToArray": {"$ifNull": ["$raised", {}]}}
    of_goal = {"$filter": {"input": raised, "cond": {"$eq": ["$$this.k", "$goal_currency"]}}}
    columns: dict[FundraiserOrder, Any] = {
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


def build_sparklines(lines: Sequence[FundraiserLine]) -> dict[ObjectId, list[int]]:
    """Return the amounts that each fundraiser raised on the last 30 days, oldest first.

    Amounts are in minor units of the fundraiser's currency. Days are in UTC, because a chart
    without labels does not show the time zone.
    """
    today = now().date()
    days = [today - timedelta(days=ago) for ago in range(SPARKLINE_DAYS - 1, -1, -1)]
    keys = {
        f"fundraiser:{line.id}:{day.isoformat()}": (line, place)
        for line in lines
        for place, day in enumerate(days)
    }
    raised = {line.id: [0] * SPARKLINE_DAYS for line in lines}
    for row in collection(get_db(), GiftDayRow).find({"_id": {"$in": list(keys)}}, {"raised": 1}):
        line, place = keys[row["_id"]]
        raised[line.id][place] = sum(row.get("raised", {}).get(line.currency, {}).values())
    return raised


def _line(row: dict[str, Any], main: str) -> FundraiserLine:
    funnel, raised, gifts = row.get("funnel", {}), row.get("raised", {}), row.get("gifts", {})
    goal, currency = row.get("goal_amount"), row.get("goal_currency")
    most = max(drop_zero_totals(gifts), key=gifts.__getitem__, default=main)
    return FundraiserLine(
        id=row["_id"],
        name=row["name"],
        created_at=row["created_at"],
        raised=drop_zero_totals(raised),
        goal={"amount": goal, "currency": currency} if goal else None,
        reached=ratio(raised.get(currency, 0), goal) if goal else None,
        gifts=row.get("donations_count", 0),
        donors=row.get("donors", 0),
        sent=funnel.get("sent", 0),
        conversion=ratio(funnel.get("donated", 0), funnel.get("delivered", 0)),
        currency=currency if goal and currency else most,
    )
