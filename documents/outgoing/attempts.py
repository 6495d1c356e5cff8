"""Attempts to deliver an event: when the next one follows, and how results are stored.

The result of an attempt is stored only if the delivery is still due at the time that was read. So
an attempt that staff requested in the meantime is not lost, and the event is sent again.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mongoengine import get_db
from pymongo import UpdateOne

from documents.rows.event_delivery import DeliveryRow

FIRST_PAUSE_SECONDS = 5.0
PAUSE_FACTOR = 3.0
PAUSE_JITTER = 1 / 5
MAX_PAUSE_SECONDS = 6 * 3600.0
RETRY_TIME = timedelta(days=3)  # after the first attempt
MAX_STORED_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of one request.

    Attributes:
        at: time at which the request began.
        status: HTTP status; None if there was no response.
        error: a short reason in plain English; empty after a success.
        retry_after: pause that the receiver requested, in seconds.
        is_timeout: the receiver used up the time limit.
    """

    at: datetime
    seconds: float
    status: int | None = None
    error: str = ""
    retry_after: float = 0.0
    is_timeout: bool = False

    @property
    def is_success(self) -> bool:
        """True if the receiver accepted the event."""
        return not self.error


def choose_pause(
    tries: int, retry_after: float = 0.0, chance: random.Random | None = None
) -> float:
    """Return the seconds until the next attempt, with jitter, so that retries spread out.

    Args:
        tries: number of failed attempts, at least 1.
        retry_after: pause that the receiver requested, in seconds.
    """
    growth = PAUSE_FACTOR ** min(tries - 1, 20)
    pause = min(FIRST_PAUSE_SECONDS * growth, MAX_PAUSE_SECONDS)
    pause *= (chance or random).uniform(1 - PAUSE_JITTER, 1)
    return max(pause, min(retry_after, MAX_PAUSE_SECONDS))


def choose_next_attempt(
    first_at: datetime, at: datetime, tries: int, retry_after: float = 0.0
) -> datetime | None:
    """Return the time of the next attempt, or None if no more attempts follow.

    The last attempt is three days after the first one.
    """
    end = first_at + RETRY_TIME
    if at >= end:
        return None
    return min(at + timedelta(seconds=choose_pause(tries, retry_after)), end)


def write_attempts(results: Iterable[tuple[DeliveryRow, Attempt]]) -> None:
    """Store the results of attempts.

    Raises:
        PyMongoError: MongoDB is unavailable. The same results can be written again.
    """
    updates = [_build_update(delivery, attempt) for delivery, attempt in results]
    get_db().event_deliveries.bulk_write(updates, ordered=False)


def _build_update(delivery: DeliveryRow, attempt: Attempt) -> UpdateOne:
    as_read = {"_id": delivery["_id"], "next_attempt_at": delivery["next_attempt_at"]}
    stored: dict[str, Any] = {"at": attempt.at, "seconds": round(attempt.seconds, 3)}
    if attempt.status is not None:
        stored["status"] = attempt.status
    if attempt.error:
        stored["error"] = attempt.error
    push = {"attempts": {"$each": [stored], "$slice": -MAX_STORED_ATTEMPTS}}
    return UpdateOne(as_read, {"$push": push, **_build_state(delivery, attempt)})


def _build_state(delivery: DeliveryRow, attempt: Attempt) -> dict[str, Any]:
    first_at = delivery.get("first_attempt_at") or attempt.at
    set_: dict[str, Any] = {"first_attempt_at": first_at}
    if attempt.is_success:
        set_["delivered_at"] = attempt.at
        return {"$set": set_, "$unset": {"next_attempt_at": ""}}
    tries = delivery.get("tries", 0) + 1
    set_["tries"] = tries
    following = choose_next_attempt(first_at, attempt.at, tries, attempt.retry_after)
    if following is None:
        set_["failed_at"] = attempt.at
        return {"$set": set_, "$unset": {"next_attempt_at": ""}}
    set_["next_attempt_at"] = following
    return {"$set": set_}
