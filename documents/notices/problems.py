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
from documents.organization import is_in_deletion
from documents.payments.payment import REASON_INDEX_FIELDS
from documents.payments.reasons import MissingGiftReason
from documents.recount.background import list_drift_rounds
from documents.settling.failed_job import FAILED_FILTER, FAILED_JOB_FIELDS, JOB_NAMES
from documents.webhook_rejections import RejectionReason

# The provider may report the fundraiser in a later event.
PAYMENT_GRACE = timedelta(minutes=10)
REASON_INDEX = "_".join(["known", *REASON_INDEX_FIELDS])
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
    """Yield the problems of all organizations, except those in deletion."""
    for problem in _list_all_problems(at):
        if not is_in_deletion(problem.organization_id):
            yield problem


def _list_all_problems(at: datetime) -> Iterator[Problem]:
    yield from _list_failed_jobs()
    yield from _list_drifts(at)
    yield from _list_disabled_endpoints()
    yield from _list_rejected_requests(at)
    yield from _list_waiting_payments(at)


def _list_failed_jobs() -> Iterator[Problem]:
    since: dict[ObjectId, datetime] = {}
    for name in JOB_NAMES:
        for id_, first in _find_first_failures(name):
            since[id_] = min(first, since.get(id_, first))
    for organization_id, first in since.items():
        yield Problem(organization_id, "failed_jobs", "", first)


def _find_first_failures(collection: str) -> Iterator[tuple[ObjectId, datetime]]:
    """Yield each organization with failed jobs, and the time of its first one.

    Each query reads one record. An aggregation would read all failed jobs, because the index's type
    condition rules out jumps.
    """
    last: ObjectId | None = None
    order = [("organization_id", 1), ("trouble.failed_at", 1)]
    while True:
        after = {} if last is None else {"organization_id": {"$gt": last}}
        row = get_db()[collection].find_one(
            {**after, **FAILED_FILTER}, FAILED_JOB_FIELDS, sort=order, hint="failed"
        )
        if row is None:
            return
        last = row["organization_id"]
        yield row["organization_id"], row["trouble"]["failed_at"]


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
        stages = build_first_payment_stages(reason)
        for row in get_db().payments.aggregate(stages, hint=REASON_INDEX):
            if isinstance(row["first"], ObjectId):
                id_, first = row["_id"], row["first"].generation_time
                since[id_] = min(first, since.get(id_, first))
    for organization_id, first in since.items():
        if at - first >= PAYMENT_GRACE:
            yield Problem(organization_id, "waiting_payment", "", first)


def build_first_payment_stages(reason: str) -> list[dict[str, Any]]:
    """Return the stages that find each organization's first payment that waits for this reason.

    MongoDB jumps in the index from one organization to the next.
    """
    return [
        {"$match": {"reason": reason}},
        {"$sort": {"organization_id": 1, "public_id": 1}},
        {"$group": {"_id": "$organization_id", "first": {"$first": "$public_id"}}},
    ]
