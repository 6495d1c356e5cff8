"""Retries of records that cannot be settled: growing pauses between attempts, then a failed job.

One such record stops no other (see batches.py). Its `trouble` holds the number of attempts, the
reason, and the time of the next attempt. After the last attempt, the record is no longer due, and
waits until a person looks at it. Changing the record starts again from zero.
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

TRIES = 5
FIRST_PAUSE_SECONDS = 2.0
GROWTH = 4.0  # 2, 8, 32 and 128 seconds, give or take a third
JITTER = 1 / 3
LONGEST_POSTPONEMENT_SECONDS = 60.0


def not_postponed(at: datetime) -> dict[str, Any]:
    """The part of a query that leaves out what is to be tried later."""
    return {"$or": [{"trouble.retry_at": None}, {"trouble.retry_at": {"$lte": at}}]}


def describe(error: BaseException) -> str:
    """Return what went wrong, without what is in the record."""
    code = getattr(error, "code", None)
    return f"{type(error).__name__}{f' (code {code})' if code else ''}"


def pause(tries: int, chance: random.Random | None = None) -> timedelta:
    """How long to wait after this many tries. Jittered, so that many do not come back at once."""
    spread = (chance or random).uniform(1 - JITTER, 1 + JITTER)
    return timedelta(seconds=FIRST_PAUSE_SECONDS * GROWTH ** (tries - 1) * spread)


def note(source: str, id_: ObjectId, error: Exception) -> None:
    """Count a failed attempt of a record, and say when the next one is due.

    Several workers may find the same bad record at once. That is one attempt.
    """
    # Not the message: it may repeat what is in the record.
    log.error("%s %s cannot be settled: %s", source, id_, describe(error))
    log.debug("%s %s", source, id_, exc_info=error)
    _update_waiting(source, id_, lambda row: after_failure(row, describe(error)))


def postpone(source: str, id_: ObjectId, error: Exception) -> None:
    """Let other records go first, because MongoDB could not settle this one in time.

    That is no attempt. The pause doubles each time, up to LONGEST_POSTPONEMENT_SECONDS.
    """

    def update_of(row: Mapping[str, Any]) -> Update:
        known = row.get("trouble") or {}
        slow = known.get("slow", 0) + 1
        seconds = min(FIRST_PAUSE_SECONDS * 2.0 ** min(slow - 1, 10), LONGEST_POSTPONEMENT_SECONDS)
        log.warning("%s %s: again in %d s, after %s", source, id_, seconds, describe(error))
        trouble = {"tries": 0, **known, "error": describe(error), "slow": slow}
        trouble["retry_at"] = now() + timedelta(seconds=seconds)
        return Update().set({"trouble": trouble})

    _update_waiting(source, id_, update_of)


def _update_waiting(
    source: str, id_: ObjectId, update_of: Callable[[Mapping[str, Any]], Update]
) -> None:
    """Update a record that is due and not postponed, unless it changes meanwhile."""
    collection = get_db()[source]
    waiting = {"_id": id_, "due": {"$type": "date"}, **not_postponed(now())}
    row = collection.find_one(waiting, {"due": 1, "trouble": 1})
    if row is not None:
        # A change is a new start, and another worker may have noted the same failure.
        as_read = {"_id": id_, "due": row["due"], "trouble": row.get("trouble")}
        collection.update_one(as_read, update_of(row).operators)


def after_failure(row: Mapping[str, Any], error: str) -> Update:
    """Return the update that notes one more failed attempt of a row that is due."""
    tries = row.get("trouble", {}).get("tries", 0) + 1
    trouble = {"tries": tries, "error": error}
    if tries < TRIES:
        return Update().set({"trouble": {**trouble, "retry_at": now() + pause(tries)}})
    return Update().set({"trouble": {**trouble, "failed_at": now()}}).unset("due")
