"""The facts that `matchback status` collects, before it judges them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from documents.reports.health import MAX_COUNTED_RECORDS, ServiceHealth

# Source: MongoDB's «Software Lifecycle Schedules». Releases in between are not in it.
MONGODB_SUPPORTED_UNTIL = {
    (5, 0): date(2024, 10, 31),
    (6, 0): date(2025, 7, 31),
    (7, 0): date(2027, 8, 31),
    (8, 0): date(2029, 10, 31),
}
HEALTHY_MEMBER_STATES = ("PRIMARY", "SECONDARY", "ARBITER")


@dataclass(frozen=True)
class ReplicaSetMember:
    """A member of the replica set, as one of the others sees it."""

    host: str
    state: str | None = None  # None: we may not ask
    is_well: bool = True
    lag_seconds: float | None = None


@dataclass(frozen=True)
class MongoDBFacts:
    """Whether a server answers, which, and who else is in its set."""

    answers: bool
    reason: str | None = None
    version: str | None = None
    supported_until: date | None = None
    primary: str | None = None  # also the router, where there is one
    members: Sequence[ReplicaSetMember] = ()


@dataclass(frozen=True)
class QueueFacts:
    """How many wake-ups wait."""

    answers: bool
    reason: str | None = None
    length: int | None = None


@dataclass(frozen=True)
class ActivityRates:
    """What happened a second, between two looks; None where that cannot be told."""

    seconds: float
    gifts_stored: float
    gifts_settled: float | None
    posts: float
    events: float


@dataclass(frozen=True)
class Facts:
    """One look. `service` is None where the database does not tell, and `reason` says why."""

    at: datetime
    mongodb: MongoDBFacts
    queue: QueueFacts
    service: ServiceHealth | None = None
    reason: str | None = None
    rates: ActivityRates | None = None
    recount_hours: float = 24.0
    has_indexes: bool = True


def find_support_end(version: str) -> date | None:
    """The last day of a release's support; None where it is not known."""
    major, minor = map(int, version.split(".")[:2])
    known = MONGODB_SUPPORTED_UNTIL.get((major, minor))
    return MONGODB_SUPPORTED_UNTIL[5, 0] if known is None and major < 5 else known


def read_members(status: dict[str, Any]) -> list[ReplicaSetMember]:
    """Who is in the set, from the answer to `replSetGetStatus`."""
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
    """What happened between two looks. Records that are taken away meanwhile are not told apart."""

    def grown(kind: str) -> int:
        return max(0, after.stored[kind] - before.stored[kind])

    def due(health: ServiceHealth) -> int:
        return next(one.count for one in health.due if one.kind == "donations")

    stored, waited, wait = grown("donations"), due(before), due(after)
    # A gift that was changed is due again and settled again: this is what left, at the least.
    settled = max(0, stored + waited - wait) if max(waited, wait) < MAX_COUNTED_RECORDS else None
    return ActivityRates(
        seconds,
        stored / seconds,
        None if settled is None else settled / seconds,
        grown("deliveries") / seconds,
        grown("events") / seconds,
    )
