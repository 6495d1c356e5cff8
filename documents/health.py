"""How the service does for one organization: what waits, what failed, what was found off."""

from dataclasses import dataclass
from datetime import datetime

from bson import ObjectId
from mongoengine import get_db

from documents import unexported
from documents.clock import now
from documents.failed_job import FailedJob
from documents.marks import DUE
from documents.steady_recount import SteadyRecount
from documents.warehouse_state import WarehouseState

COUNTED = 10_000  # so that looking costs the same however far behind it is
FAILED_SHOWN = 100
WAITING = {
    "donations": "Gifts to be matched and counted",
    "deliveries": "Reports of providers to be read",
    "emails": "Emails to be counted",
    "mailings": "Mailings to be counted",
}


@dataclass(frozen=True)
class Waiting:
    """Records of a kind that are stored and not counted yet; counted up to 10,000."""

    name: str
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
class Health:
    waiting: list[Waiting]
    failed: list[FailedJob]
    recount: Recount
    warehouse: Warehouse | None

    @property
    def behind_seconds(self) -> float:
        """The age of the oldest record that waits."""
        return max(one.oldest_seconds for one in self.waiting)


def health(organization_id: ObjectId) -> Health:
    """How it does now."""
    stands = SteadyRecount.current()
    return Health(
        [_waiting(organization_id, kind, name) for kind, name in WAITING.items()],
        FailedJob.page(organization_id, FAILED_SHOWN),
        Recount(stands.last_off, stands.last_finished_at),
        _warehouse() if unexported.is_on() else None,
    )


def _warehouse() -> Warehouse:
    state = WarehouseState.current()
    return Warehouse(unexported.lag_seconds(), bool(state.error), state.is_filled)


def _waiting(organization_id: ObjectId, kind: str, name: str) -> Waiting:
    due = {"organization_id": organization_id, **DUE}
    found = get_db()[kind]
    first = found.find_one(due, {"due": 1}, sort=[("due", 1)])
    age = (now() - first["due"]).total_seconds() if first else 0.0
    return Waiting(name, found.count_documents(due, limit=COUNTED), max(0.0, age))
