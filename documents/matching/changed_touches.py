"""Changed touches: the gifts that an update of an email can affect. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from documents.matching.candidates import to_candidate
from documents.matching.fitting import find_delivery_failure
from documents.rows.email import EmailRow

TOUCH_TIME_FIELDS = ("sent_at", "first_opened_at", "first_clicked_at")
FAILURE_TIME_FIELDS = ("bounced_at", "dropped_at")

UpdateOperators = Mapping[str, Mapping[str, Any]]  # MongoDB's update document


def find_affected_since(email: EmailRow, update: UpdateOperators) -> datetime | None:
    """Return the time since which the update can change matches, or None if it changes none.

    Args:
        email: the email's row before the update.
    """
    known: Mapping[str, Any] = email
    times = [at for name in TOUCH_TIME_FIELDS if (at := _find_moved(known.get(name), update, name))]
    if at := _find_changed_arrival(email, update):
        times.append(at)
    return min(times, default=None)


def _find_moved(was: datetime | None, update: UpdateOperators, name: str) -> datetime | None:
    """Return the earliest time that the update of a touch affects, or None if there is none."""
    first: datetime | None = update.get("$min", {}).get(name)
    if first is not None:
        return first if was is None or first < was else None
    if name in update.get("$set", {}):
        new = update["$set"][name]
        return None if new == was else min(filter(None, (new, was)))
    return was if name in update.get("$unset", {}) else None


def _find_changed_arrival(email: EmailRow, update: UpdateOperators) -> datetime | None:
    """Return the time of sending if the update changes whether the email arrived, or None.

    All gifts since then can match differently.
    """
    first = update.get("$min", {})
    if not any(email.get(name) or name in first for name in FAILURE_TIME_FIELDS):
        return None  # the usual case
    before, after = to_candidate(email), to_candidate(_apply_first_times(email, update))
    if find_delivery_failure(before) == find_delivery_failure(after):
        return None
    return after.sent_at


def _apply_first_times(email: EmailRow, update: UpdateOperators) -> EmailRow:
    row: Any = {**email, **update.get("$set", {})}
    for name in update.get("$unset", {}):
        row.pop(name, None)
    for name, at in update.get("$min", {}).items():
        row[name] = min(at, row.get(name) or at)
    changed: EmailRow = row
    return changed
