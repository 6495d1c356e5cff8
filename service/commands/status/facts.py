"""The facts that `matchback status` collects before it judges them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from documents.reports.health import MAX_COUNTED_RECORDS, ServiceHealth

# Source: MongoDB's “Software Lifecycle Schedules”. Rapid releases are not listed.
MONGODB_SUPPORTED_UNTIL = {
    (5, 0): date(2024, 10, 31),
    (6, 0): date(2025, 7, 31),
    (7, 0): date(2027, 8, 31),
    (8, 0): date(2029, 10, 31),
}
HEALTHY_MEMBER_STATES = ("PRIMARY", "SECONDARY", "ARBITER")


@dataclass(frozen=True)
class ReplicaSetMember:
    """A member of the replica set, as another member reports it."""

    host: str
    state: str | None = None  # None without permission to query it
    is_well: bool = True
    lag_seconds: float | None = None


@dataclass(frozen=True)
class MongoDBFacts:
    """The server that answers, and the members of its replica set."""

    answers: bool
    reason: str | None = None
    version: str | None = None
    supported_until: date | None = None
    primary: str | None = None  # or the router of a sharded cluster
    members: Sequence[ReplicaSetMember] = ()


@dataclass(frozen=True)
class QueueFacts:
    """The number of wake-ups in the queue."""

    answers: bool
    reason: str | None = None
    length: int | None = None


@dataclass(frozen=True)
class ActivityRates:
    """Rates per second between two observations; None if unknown."""

    seconds: float
    gifts_stored: float
    gifts_settled: float | None
    posts: float
    events: float


@dataclass(frozen=True)
class Facts:
    """One observation. `service` is None if the database query failed; `reason` has the error."""

    at: datetime
    mongodb: MongoDBFacts
    queue: QueueFacts
    service: ServiceHealth | None = None
    reason: str | None = None
    rates: ActivityRates | None = None
    recount_hours: float = 24.0
    has_indexes: bool = True


def find_support_end(version: str) -> date | None:
    """Return the last day of the release's support, or None if unknown."""
    major, minor = map(int, version.split(".")[:2])
    known = MONGODB_SUPPORTED_UNTIL.get((major, minor))
    return MONGODB_SUPPORTED_UNTIL[5, 0] if known is None and major < 5 else known


def read_members(status: dict[str, Any]) -> list[ReplicaSetMember]:
    """Return the members of the set from the result of `replSetGetStatus`."""
    rows = status["members"]
    ahead = [row["optimeDate"] for row in rows if row["stateStr"] == "PRIMARY"]

    def lag(row: dict[str, Any]) -> float | None:
        if not ahead or row["stateStr"] != "SECONDARY":
            return None
        return float(max(0.0, (ahead[0] - row["optimeDate"]).total_seconds()))

    return [
        ReplicaSetMember(
            row["name"], row["stateStr"], row["stateStr"] in HEALTHY_MEMBER_STATES, lag(row)
        )
        for row in rows
    ]


def compute_rates(before: ServiceHealth, after: ServiceHealth, seconds: float) -> ActivityRates:
    """Return the rates between two observations. Deletions in between are not detected."""

    def grown(kind: str) -> int:
        return max(0, after.stored[kind] - before.stored[kind])

    def due(health: ServiceHealth) -> int:
        return next(one.count for one in health.due if one.kind == "donations")

    stored, waited, wait = grown("donations"), due(before), due(after)
    # A changed donation becomes due and is settled again, so this number is a lower bound.
    settled = max(0, stored + waited - wait) if max(waited, wait) < MAX_COUNTED_RECORDS else None
    return ActivityRates(
        seconds,
        stored / seconds,
        None if settled is None else settled / seconds,
        grown("deliveries") / seconds,
        grown("events") / seconds,
    )
