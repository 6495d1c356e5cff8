"""The figures of a digest: a fundraiser's gifts in a period, and the changes since a time.

The cost grows with the fundraiser's mailings, and with the gifts and changes that it lists. Totals
come from counters, so it does not grow with all gifts.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict
from zoneinfo import ZoneInfo

from bson import ObjectId
from mongoengine import get_db

from documents.conditions import MATCHABLE_STATUSES
from documents.digests.rules import ONE_DAY, DigestPeriod
from documents.fundraiser import Fundraiser
from documents.mailing import Mailing
from documents.match import has_all_matches
from documents.reports.figures import GiftSum
from documents.reports.gift_times import GiftTotal, UtcDay, sum_by_local_day
from documents.rows.collections import collection
from documents.rows.donation import DonationRow, GiftDayRow
from documents.storage.former_match import build_match_filter
from documents.storage.marks import DUE_FILTER

MAX_TOP_MAILINGS = 5
MAILINGS_PER_READ = 500
MAX_UNCOUNTED = 1_000
ONE_MILLISECOND = timedelta(milliseconds=1)
GIFT_OF_MATCH: list[dict[str, Any]] = [
    {"$lookup": {"from": "donations", "localField": "_id", "foreignField": "_id", "as": "gift"}},
    {"$replaceRoot": {"newRoot": {"$first": "$gift"}}},
]


class TopMailing(GiftSum):
    """A mailing and the gifts that its emails led to in the period."""

    id: ObjectId


class DigestFigures(TypedDict):
    """The figures of a period.

    Attributes:
        total, previous: all gifts of the period, and of the period before.
        mailings: the mailings that raised the most, in order.
        without_email: the gifts that no email led to.
        uncounted: gifts of the period that no worker has settled yet, up to a maximum.
    """

    total: GiftSum
    previous: GiftSum
    mailings: list[TopMailing]
    without_email: GiftSum
    uncounted: int


def build_digest_figures(
    fundraiser: Fundraiser, period: DigestPeriod, zone: ZoneInfo
) -> DigestFigures:
    """Return the figures of a period, the same as the dashboard shows for its days."""
    uncounted = _count_uncounted(fundraiser.id, *period.get_bounds(zone))
    total, previous = (
        next(_sum_gifts("fundraiser", [fundraiser.id], one, zone), (None, GiftTotal()))[1].to_sum()
        for one in (period, period.previous)
    )
    return {
        "total": total,
        "previous": previous,
        "mailings": _list_top_mailings(fundraiser, period, zone, total),
        "without_email": _sum_without_email(fundraiser.id, *period.get_bounds(zone)),
        "uncounted": uncounted,
    }


def count_matched_again(fundraiser_id: ObjectId, since: datetime, until: datetime) -> int:
    """Count the gifts whose earlier match another one replaced in this time.

    A gift that has no match any more, because its payment failed or it was deleted, does not count.
    """
    stages: list[dict[str, Any]] = [
        {
            "$match": {
                "fundraiser_id": fundraiser_id,
                "replaced_at": {"$gte": since, "$lt": until},
            }
        },
        {"$group": {"_id": "$donation_id"}},
        *GIFT_OF_MATCH,
        {"$match": {"deleted_at": None, "status": {"$in": MATCHABLE_STATUSES}}},
        {"$count": "number"},
    ]
    found = next(iter(get_db().past_matches.aggregate(stages)), {"number": 0})
    number: int = found["number"]
    return number


def _sum_gifts(
    kind: str, ids: Sequence[ObjectId], period: DigestPeriod, zone: ZoneInfo
) -> Iterator[tuple[ObjectId, GiftTotal]]:
    """Yield the fundraisers or mailings that have gifts in the period, with their totals."""
    begin, end = period.get_bounds(zone)
    utc_days = [
        begin.date() + number * ONE_DAY
        for number in range(((end - ONE_MILLISECOND).date() - begin.date()).days + 1)
    ]
    names = [f"{kind}:{id_}:{day.isoformat()}" for id_ in ids for day in utc_days]
    rows: dict[ObjectId, list[UtcDay]] = {}
    for row in collection(get_db(), GiftDayRow).find({"_id": {"$in": names}}):
        rows.setdefault(ObjectId(row["_id"].split(":")[1]), []).append(UtcDay.read(row))
    for id_, days in rows.items():
        total = GiftTotal()
        for local_day, of_day in sum_by_local_day(days, zone).items():
            if period.first <= local_day <= period.last:
                total.count += of_day.count
                total.raised.update(of_day.raised)
        if total.count:
            yield id_, total


def _list_top_mailings(
    fundraiser: Fundraiser, period: DigestPeriod, zone: ZoneInfo, total: GiftSum
) -> list[TopMailing]:
    """Return the mailings that raised the most in the currency of most gifts, then in others."""
    main = max(total["raised"], key=lambda code: fundraiser.gifts.get(code, 0), default="")
    best: list[tuple[tuple[int, int, int], ObjectId, GiftTotal]] = []
    live = Mailing.live(fundraiser.organization_id, fundraiser_id=fundraiser.id)
    ids = list(live.order_by("id").scalar("id"))
    for start in range(0, len(ids), MAILINGS_PER_READ):
        part = ids[start : start + MAILINGS_PER_READ]
        for id_, of in _sum_gifts("mailing", part, period, zone):
            rank = of.raised[main], max(of.raised.values(), default=0), of.count
            best.append((rank, id_, of))
        best = sorted(best, key=lambda one: one[:2], reverse=True)[:MAX_TOP_MAILINGS]
    return [{"id": id_, **of.to_sum()} for _, id_, of in best]


def _sum_without_email(fundraiser_id: ObjectId, begin: datetime, end: datetime) -> GiftSum:
    given = {"fundraiser_id": fundraiser_id, "donated_at": {"$gte": begin, "$lt": end}}
    gifts: dict[str, Any] = {**given, "deleted_at": None, "status": "succeeded"}
    gifts |= build_match_filter("none")
    net = {"$subtract": ["$amount", {"$ifNull": ["$refunded_amount", 0]}]}
    stages: list[dict[str, Any]] = [
        {"$match": gifts},
        {"$group": {"_id": "$currency", "count": {"$sum": 1}, "raised": {"$sum": net}}},
    ]
    if has_all_matches():
        stages = [{"$match": {**given, "match": "none"}}, *GIFT_OF_MATCH, *stages]
    source = "matches" if has_all_matches() else "donations"
    total = GiftTotal()
    for row in get_db()[source].aggregate(stages):
        total.count += row["count"]
        total.raised[row["_id"]] += row["raised"]
    return total.to_sum()


def _count_uncounted(fundraiser_id: ObjectId, begin: datetime, end: datetime) -> int:
    due: Mapping[str, Any] = {"fundraiser_id": fundraiser_id, **DUE_FILTER}
    given = {"donated_at": {"$gte": begin, "$lt": end}}
    donations = collection(get_db(), DonationRow)
    return donations.count_documents({**due, **given}, limit=MAX_UNCOUNTED)
