"""Retries of records that cannot be settled: growing pauses between attempts, then a failed job.

Such a record does not block others (see batches.py). Its `trouble` holds the number of attempts,
the reason, and the time of the next attempt. After the last attempt, the record is no longer due,
and it waits for a person. A change of the record resets the number of attempts.
"""

import logging
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.values.time import now
from matchback.engine import Update

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 5
FIRST_RETRY_PAUSE_SECONDS = 2.0
RETRY_PAUSE_FACTOR = 4.0  # pauses of 2, 8, 32 and 128 seconds, plus or minus a third
RETRY_PAUSE_JITTER = 1 / 3
MAX_POSTPONEMENT_SECONDS = 60.0


def exclude_postponed(at: datetime) -> dict[str, Any]:
    """Return a condition that excludes records whose next attempt is later than `at`."""
    return {"$or": [{"trouble.retry_at": None}, {"trouble.retry_at": {"$lte": at}}]}


def describe_error(error: BaseException) -> str:
    """Return the name and code of an error, without any of the record's values."""
    code = getattr(error, "code", None)
    return f"{type(error).__name__}{f' (code {code})' if code else ''}"


def choose_retry_pause(tries: int, chance: random.Random | None = None) -> timedelta:
    """Return the pause after this many attempts, with jitter, so that retries spread out."""
    spread = (chance or random).uniform(1 - RETRY_PAUSE_JITTER, 1 + RETRY_PAUSE_JITTER)
    return timedelta(seconds=FIRST_RETRY_PAUSE_SECONDS * RETRY_PAUSE_FACTOR ** (tries - 1) * spread)


def note_failed_attempt(source: str, id_: ObjectId, error: Exception) -> None:
    """Count a failed attempt of a record, and schedule the next one.

    Several workers may find the same bad record at once. This counts as one attempt.
    """
    # The message may repeat the record's values, so only the debug log contains it.
    log.error("%s %s cannot be settled: %s", source, id_, describe_error(error))
    log.debug("%s %s", source, id_, exc_info=error)
    _update_waiting(source, id_, lambda row: build_failure_update(row, describe_error(error)))


def postpone_record(source: str, id_: ObjectId, error: Exception) -> None:
    """Let other records go first, because MongoDB could not settle this one in time.

    This is not an attempt. The pause doubles each time, up to MAX_POSTPONEMENT_SECONDS.
    """

    def update_of(row: Mapping[str, Any]) -> Update:
        known = row.get("trouble") or {}
        slow = known.get("slow", 0) + 1
        seconds = min(
            FIRST_RETRY_PAUSE_SECONDS * 2.0 ** min(slow - 1, 10), MAX_POSTPONEMENT_SECONDS
        )
        log.warning("%s %s: retrying in %d s after %s", source, id_, seconds, describe_error(error))
        trouble = {"tries": 0, **known, "error": describe_error(error), "slow": slow}
        trouble["retry_at"] = now() + timedelta(seconds=seconds)
        return Update().set({"trouble": trouble})

    _update_waiting(source, id_, update_of)


def _update_waiting(
    source: str, id_: ObjectId, update_of: Callable[[Mapping[str, Any]], Update]
) -> None:
    """Update a record that is due and not postponed, unless it changes in the meantime."""
    collection = get_db()[source]
    waiting = {"_id": id_, "due": {"$type": "date"}, **exclude_postponed(now())}
    row = collection.find_one(waiting, {"due": 1, "trouble": 1})
    if row is not None:
        # A changed record starts again, and another worker may have noted the same failure.
        as_read = {"_id": id_, "due": row["due"], "trouble": row.get("trouble")}
        collection.update_one(as_read, update_of(row).operators)


def build_failure_update(row: Mapping[str, Any], error: str) -> Update:
    """Return the update that notes one more failed attempt of a due row."""
    tries = row.get("trouble", {}).get("tries", 0) + 1
    trouble = {"tries": tries, "error": error}
    if tries < MAX_ATTEMPTS:
        return Update().set({"trouble": {**trouble, "retry_at": now() + choose_retry_pause(tries)}})
    return Update().set({"trouble": {**trouble, "failed_at": now()}}).unset("due")
