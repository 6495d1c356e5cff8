"""The health of one organization or of the whole service: due, failed, and incorrect records."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.people.duplicate import Pair, pairs
from documents.recount.background import SteadyRecount
from documents.settling.failed_job import FAILED, FIELDS, JOBS, FailedJob
from documents.storage import export_outbox
from documents.storage.export_state import WarehouseState
from documents.storage.marks import DUE
from documents.values.time import now

COUNTED = 10_000  # so that looking costs the same however far behind it is
FAILED_SHOWN = 100
DUPLICATES_SHOWN = 100
WAITING = ("donations", "deliveries", "emails", "mailings", "late_touches")
# By which mark it is due, for whoever looks after the whole service.
MARKS = {**dict.fromkeys(WAITING, "due"), "users": "rematch_due"}
POSTS_LOOKED_AT = 50
KEYS_LOOKED_AT = 1000
BY_PROVIDER = {"organization_id": 1, "provider": 1}
GROWING = ("donations", "deliveries", "events")


@dataclass(frozen=True)
class Waiting:
    """Stored records of a collection that are not counted yet; counted up to 10,000."""

    kind: str
    count: int
    oldest_seconds: float


@dataclass(frozen=True)
class Recount:
    """What the last round of the steady recount found in the whole service, and when it ended."""

    last_off: int | None
    last_finished_at: datetime | None


@dataclass(frozen=True)
class Warehouse:
    """How far the reporting database is behind what is counted, and whether it can be reached."""

    lag_seconds: float
    is_failing: bool
    is_filled: bool


@dataclass(frozen=True)
class Due:
    """Records of a kind that wait, counted up to 10,000; and how often the oldest failed so far."""

    kind: str
    count: int
    oldest_seconds: float
    oldest_tries: int


@dataclass(frozen=True)
class Failed:
    """Failed jobs of all organizations, counted up to 100 a kind, and those found, newest first."""

    count: int
    latest: list[FailedJob]


@dataclass(frozen=True)
class Posts:
    """Of the last webhook posts: when each provider's last one came, None where it is not among
    them, and how many events in them could not be used."""

    last: dict[str, datetime | None]
    refused_events: int


@dataclass(frozen=True)
class ServiceHealth:
    """How it does as a whole. `stored`: how many records of a kind there are, to compare later."""

    due: list[Due]
    failed: Failed
    recount: Recount
    warehouse: Warehouse | None
    posts: Posts
    stored: dict[str, int]


@dataclass(frozen=True)
class Health:
    waiting: list[Waiting]
    failed: list[FailedJob]
    recount: Recount
    warehouse: Warehouse | None
    duplicates: list[Pair]  # users that share a mailbox with another

    @property
    def behind_seconds(self) -> float:
        """The age of the oldest record that waits."""
        return max(one.oldest_seconds for one in self.waiting)


def health(organization_id: ObjectId) -> Health:
    """How it does now."""
    stands = SteadyRecount.current()
    return Health(
        [_waiting(organization_id, kind) for kind in WAITING],
        FailedJob.page(organization_id, FAILED_SHOWN),
        Recount(stands.last_off, stands.last_finished_at),
        _warehouse() if export_outbox.is_on() else None,
        list(islice(_same_users(organization_id), DUPLICATES_SHOWN)),
    )


def _same_users(organization_id: ObjectId) -> Iterator[Pair]:
    return (pair for pair in pairs(organization_id) if pair.collection == "users")


def _warehouse() -> Warehouse:
    state = WarehouseState.current()
    return Warehouse(export_outbox.lag_seconds(), bool(state.error), state.is_filled)


def _waiting(organization_id: ObjectId, kind: str) -> Waiting:
    due = {"organization_id": organization_id, **DUE}
    found = get_db()[kind]
    first = found.find_one(due, {"due": 1}, sort=[("due", 1)])
    age = (now() - first["due"]).total_seconds() if first else 0.0
    return Waiting(kind, found.count_documents(due, limit=COUNTED), max(0.0, age))


def service_health() -> ServiceHealth:
    """How all of it does now. Bounded queries of indexes: it may be asked every second.

    Raises:
        PyMongoError: the database is away, or the indexes were not made.
    """
    stands = SteadyRecount.current()
    return ServiceHealth(
        [_due(kind, mark) for kind, mark in MARKS.items()],
        _failed(),
        Recount(stands.last_off, stands.last_finished_at),
        _warehouse() if export_outbox.is_on() else None,
        _posts(),
        {kind: get_db()[kind].estimated_document_count() for kind in GROWING},
    )


def _due(kind: str, mark: str) -> Due:
    found, due, by = get_db()[kind], {mark: DUE["due"]}, [(mark, 1)]
    first = found.find_one(due, {mark: 1, "trouble.tries": 1}, sort=by, hint=by)
    if first is None:
        return Due(kind, 0, 0.0, 0)
    count = found.count_documents(due, limit=COUNTED, hint=by)
    age = max(0.0, (now() - first[mark]).total_seconds())
    return Due(kind, count, age, (first.get("trouble") or {}).get("tries", 0))


def _failed() -> Failed:
    """Unlike FailedJob.page(), those that failed last, whenever they were stored."""
    found = [
        FailedJob.from_row(kind, row)
        for kind in JOBS
        for row in get_db()[kind].find(FAILED, FIELDS, hint="failed", limit=FAILED_SHOWN)
    ]
    return Failed(len(found), sorted(found, key=lambda job: job.failed_at, reverse=True))


def _posts() -> Posts:
    """Deliveries have no index by provider, so only the last ones are looked at."""
    keys: list[dict[str, Any]] = [
        {"$project": {"_id": 0, "provider": 1}},
        {"$limit": KEYS_LOOKED_AT},
        {"$group": {"_id": "$provider"}},
        {"$sort": {"_id": 1}},
    ]
    last: dict[str, datetime | None] = {
        row["_id"]: None for row in get_db().webhook_keys.aggregate(keys, hint=BY_PROVIDER)
    }
    fields = {"provider": 1, "refused_events": 1}
    rows = list(get_db().deliveries.find({}, fields, sort=[("_id", -1)], limit=POSTS_LOOKED_AT))
    for row in reversed(rows):
        last[row["provider"]] = row["_id"].generation_time
    return Posts(last, sum(row.get("refused_events") or 0 for row in rows))
