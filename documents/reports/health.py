"""The health of one organization or of the whole service: due, failed and incorrect records."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.outgoing.delivery_lag import DeliveryLag, measure_delivery_lag
from documents.people.duplicate import DuplicatePair, list_duplicates
from documents.recount.background import SteadyRecount
from documents.rows.collections import collection
from documents.rows.shared_post import SharedPostRow
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.settling.failed_job import (
    ALL_JOB_NAMES,
    FAILED_FILTER,
    FAILED_JOB_FIELDS,
    FailedJob,
)
from documents.shared_accounts.shared_post import UNROUTED_FILTER
from documents.storage import export_outbox
from documents.storage.due_groups import count_due, find_oldest
from documents.storage.export_state import WarehouseState
from documents.storage.marks import DUE_FILTER
from documents.values.time import now

MAX_COUNTED_RECORDS = 10_000  # limits the cost of a query when many records are due
MAX_SHOWN_FAILED_JOBS = 100
MAX_SHOWN_DUPLICATES = 100
WAITING_LABELS = ("donations", "deliveries", "emails", "mailings", "late_touches")
# Kinds that belong to no organization, so that only the operator sees them.
SERVICE_WAITING_KINDS = (*WAITING_LABELS, "shared_posts")
USER_DUE_FIELD = "rematch_due"
MAX_INSPECTED_POSTS = 50
MAX_INSPECTED_KEYS = 1000
MAX_INSPECTED_SHARED_POSTS = 1000
KEYS_BY_PROVIDER_INDEX = {"organization_id": 1, "provider": 1}
GROWING_COLLECTIONS = ("donations", "deliveries", "events")


@dataclass(frozen=True)
class WaitingRecords:
    """Stored records of a collection that are not counted yet. `count` is at most 10,000."""

    kind: str
    count: int
    oldest_seconds: float


@dataclass(frozen=True)
class RecountResult:
    """The result of the last complete background recount of the whole service.

    Attributes:
        last_off: the number of incorrect counters.
    """

    last_off: int | None
    last_finished_at: datetime | None


@dataclass(frozen=True)
class WarehouseLag:
    """The delay of the warehouse behind the counters, and whether the last export failed."""

    lag_seconds: float
    is_failing: bool
    is_filled: bool


@dataclass(frozen=True)
class DueRecords:
    """Due records of one kind.

    Attributes:
        count: the number of records, at most 10,000.
        oldest_tries: the number of failed attempts of the oldest record.
    """

    kind: str
    count: int
    oldest_seconds: float
    oldest_tries: int


@dataclass(frozen=True)
class FailedJobSummary:
    """Failed jobs of all organizations, newest first, with at most 100 of each kind."""

    count: int
    latest: list[FailedJob]


@dataclass(frozen=True)
class RecentPosts:
    """The results of the last 50 webhook deliveries.

    Attributes:
        last: the time of each provider's last delivery, or None if it is not among the 50.
        refused_events: the number of unusable events in them.
        unrouted_items: the number of items in the last 1,000 posts of shared accounts that have
            items of no known organization.
    """

    last: dict[str, datetime | None]
    refused_events: int
    unrouted_items: int = 0


@dataclass(frozen=True)
class ServiceHealth:
    """The health of the whole service.

    Attributes:
        stored: the approximate number of records of each kind, which shows growth over time.
    """

    due: list[DueRecords]
    failed: FailedJobSummary
    recount: RecountResult
    warehouse: WarehouseLag | None
    posts: RecentPosts
    stored: dict[str, int]
    outgoing: DeliveryLag


@dataclass(frozen=True)
class OrganizationHealth:
    waiting: list[WaitingRecords]
    failed: list[FailedJob]
    recount: RecountResult
    warehouse: WarehouseLag | None
    duplicates: list[DuplicatePair]  # pairs of users who share a mailbox

    @property
    def behind_seconds(self) -> float:
        """The age of the oldest due record, in seconds."""
        return max(one.oldest_seconds for one in self.waiting)


def measure_health(organization_id: ObjectId) -> OrganizationHealth:
    """Measure the current health of an organization."""
    stands = SteadyRecount.current()
    return OrganizationHealth(
        [_waiting(organization_id, kind) for kind in WAITING_LABELS],
        FailedJob.page(organization_id, MAX_SHOWN_FAILED_JOBS),
        RecountResult(stands.last_off, stands.last_finished_at),
        _warehouse() if export_outbox.has_warehouse() else None,
        list(islice(_same_users(organization_id), MAX_SHOWN_DUPLICATES)),
    )


def _same_users(organization_id: ObjectId) -> Iterator[DuplicatePair]:
    return (pair for pair in list_duplicates(organization_id) if pair.collection == "users")


def _warehouse() -> WarehouseLag:
    state = WarehouseState.current()
    return WarehouseLag(export_outbox.measure_export_lag(), bool(state.error), state.is_filled)


def _waiting(organization_id: ObjectId, kind: str) -> WaitingRecords:
    first = find_oldest(kind, organization_id)
    age = (now() - first["due"]).total_seconds() if first else 0.0
    count = count_due(kind, MAX_COUNTED_RECORDS, organization_id=organization_id)
    return WaitingRecords(kind, count, max(0.0, age))


def measure_service_health() -> ServiceHealth:
    """Measure the current health of the whole service.

    Clients can call this every second, because all queries use an index and have a limit.

    Raises:
        PyMongoError: MongoDB is unavailable, or an index is missing.
    """
    stands = SteadyRecount.current()
    return ServiceHealth(
        [*map(_due, SERVICE_WAITING_KINDS), _due_users()],
        _failed(),
        RecountResult(stands.last_off, stands.last_finished_at),
        _warehouse() if export_outbox.has_warehouse() else None,
        _posts(),
        {kind: get_db()[kind].estimated_document_count() for kind in GROWING_COLLECTIONS},
        measure_delivery_lag(),
    )


def _due(kind: str) -> DueRecords:
    first = find_oldest(kind, fields=("trouble.tries",))
    if first is None:
        return DueRecords(kind, 0, 0.0, 0)
    tries = (first.get("trouble") or {}).get("tries", 0)
    age = max(0.0, (now() - first["due"]).total_seconds())
    return DueRecords(kind, count_due(kind, MAX_COUNTED_RECORDS), age, tries)


def _due_users() -> DueRecords:
    due, by = {USER_DUE_FIELD: DUE_FILTER["due"]}, [(USER_DUE_FIELD, 1)]
    first = get_db().users.find_one(due, {USER_DUE_FIELD: 1}, sort=by, hint=by)
    if first is None:
        return DueRecords("users", 0, 0.0, 0)
    count = get_db().users.count_documents(due, limit=MAX_COUNTED_RECORDS, hint=by)
    age = max(0.0, (now() - first[USER_DUE_FIELD]).total_seconds())
    return DueRecords("users", count, age, 0)


def _failed() -> FailedJobSummary:
    """Summarize failed jobs by time of failure. `FailedJob.page()` sorts by ID instead."""
    found = [
        FailedJob.from_row(kind, row)
        for kind in ALL_JOB_NAMES
        for row in get_db()[kind].find(
            FAILED_FILTER, FAILED_JOB_FIELDS, hint="failed", limit=MAX_SHOWN_FAILED_JOBS
        )
    ]
    return FailedJobSummary(len(found), sorted(found, key=lambda job: job.failed_at, reverse=True))


def _posts() -> RecentPosts:
    """Inspect only the last deliveries, because they have no index by provider."""
    keys: list[dict[str, Any]] = [
        {"$project": {"_id": 0, "provider": 1}},
        {"$limit": MAX_INSPECTED_KEYS},
        {"$group": {"_id": "$provider"}},
        {"$sort": {"_id": 1}},
    ]
    last: dict[str, datetime | None] = {
        row["_id"]: None
        for row in get_db().webhook_keys.aggregate(keys, hint=KEYS_BY_PROVIDER_INDEX)
    }
    fields = {"provider": 1, "refused_events": 1}
    rows = list(
        collection(get_db(), WebhookDeliveryRow).find(
            {}, fields, sort=[("_id", -1)], limit=MAX_INSPECTED_POSTS
        )
    )
    for row in reversed(rows):
        last[row["provider"]] = row["_id"].generation_time
    refused = sum(row.get("refused_events") or 0 for row in rows)
    return RecentPosts(last, refused, _count_unrouted())


def _count_unrouted() -> int:
    found = collection(get_db(), SharedPostRow).find(
        UNROUTED_FILTER, {"items": 1}, sort=[("_id", -1)], limit=MAX_INSPECTED_SHARED_POSTS
    )
    return sum(post["items"] for post in found)
