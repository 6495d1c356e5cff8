"""Search for the problems that exist now.

Each search uses an index of the problems themselves. So its cost follows the number of
organizations that have one, and not the number of organizations or records.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.notices.incident import Problem
from documents.payments.payment import REASON_INDEX_FIELDS
from documents.payments.reasons import MissingGiftReason
from documents.recount.background import list_drift_rounds
from documents.settling.failed_job import FAILED_FILTER, JOB_NAMES
from documents.webhook_rejections import RejectionReason

# The provider may report the fundraiser in a later event.
PAYMENT_GRACE = timedelta(minutes=10)
WAITING_REASONS: tuple[MissingGiftReason, ...] = ("no_fundraiser", "unknown_fundraiser")
DISABLED_REASONS = ("failing", "gone")
# Slow and interrupted requests are problems of the network, and providers repeat them.
REPORTED_REJECTIONS: tuple[RejectionReason, ...] = (
    "no_key",
    "unsigned",
    "wrong_signature",
    "too_large",
    "damaged_compression",
    "unknown_compression",
)
REJECTIONS_END_AFTER = timedelta(hours=6)
ACCEPTED_END_AFTER = timedelta(minutes=10)  # without a rejection


def list_problems(at: datetime) -> Iterator[Problem]:
    """Yield the problems of all organizations."""
    yield from _list_failed_jobs()
    yield from _list_drifts(at)
    yield from _list_disabled_endpoints()
    yield from _list_rejected_requests(at)
    yield from _list_waiting_payments(at)


def _list_failed_jobs() -> Iterator[Problem]:
    since: dict[ObjectId, datetime] = {}
    for name in JOB_NAMES:
        rows = _find_first_of_each_owner(name, FAILED_FILTER, "trouble.failed_at", "failed")
        for row in rows:
            id_, first = row["_id"], row["first"]
            since[id_] = min(first, since.get(id_, first))
    for organization_id, first in since.items():
        yield Problem(organization_id, "failed_jobs", "", first)


def _list_drifts(at: datetime) -> Iterator[Problem]:
    since: dict[ObjectId, datetime] = {}
    for round_ in list_drift_rounds():
        for organization_id in round_.by_organization:
            since.setdefault(organization_id, round_.ended_at or at)
    for organization_id, found_at in since.items():
        yield Problem(organization_id, "drift", "", found_at)


def _list_disabled_endpoints() -> Iterator[Problem]:
    query = {"disabled_reason": {"$in": list(DISABLED_REASONS)}, "deleted_at": None}
    fields = {"organization_id": 1, "disabled_at": 1}
    for row in get_db().webhook_endpoints.find(query, fields):
        yield Problem(
            row["organization_id"], "disabled_endpoint", str(row["_id"]), row["disabled_at"]
        )


def _list_rejected_requests(at: datetime) -> Iterator[Problem]:
    for row in get_db().webhook_rejections.find({"updated_at": {"$gt": at - REJECTIONS_END_AFTER}}):
        notes = [note for name in REPORTED_REJECTIONS if (note := row["reasons"].get(name))]
        last = max((note["last_at"] for note in notes), default=None)
        if last is None or at - last >= REJECTIONS_END_AFTER:
            continue
        of = {"organization_id": row["organization_id"], "provider": row["provider"]}
        accepted = get_db().deliveries.find_one(of, {"created_at": 1}, sort=[("_id", -1)])
        first = min(note["first_at"] for note in notes)
        if accepted is not None:
            if accepted["created_at"] > last and at - last >= ACCEPTED_END_AFTER:
                continue
            first = max(first, min(accepted["created_at"], last))
        yield Problem(row["organization_id"], "rejected_requests", row["provider"], first)


def _list_waiting_payments(at: datetime) -> Iterator[Problem]:
    since: dict[ObjectId, datetime] = {}
    for reason in WAITING_REASONS:
        index = "_".join(["known", *REASON_INDEX_FIELDS])
        rows = _find_first_of_each_owner("payments", {"reason": reason}, "public_id", index)
        for row in rows:
            if isinstance(row["first"], ObjectId):
                id_, first = row["_id"], row["first"].generation_time
                since[id_] = min(first, since.get(id_, first))
    for organization_id, first in since.items():
        if at - first >= PAYMENT_GRACE:
            yield Problem(organization_id, "waiting_payment", "", first)


def _find_first_of_each_owner(
    collection: str, query: dict[str, Any], field: str, index: str
) -> Iterator[dict[str, Any]]:
    """Yield the lowest value of each organization. MongoDB jumps from one to the next."""
    pipeline: list[dict[str, Any]] = [
        {"$match": query},
        {"$sort": {"organization_id": 1, field: 1}},
        {"$group": {"_id": "$organization_id", "first": {"$first": f"${field}"}}},
    ]
    yield from get_db()[collection].aggregate(pipeline, hint=index)
