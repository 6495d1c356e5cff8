"""Records that cannot be settled: tried again after growing pauses, then kept as failed.

One of them stops nothing else. Its `trouble` says how often it was tried, why it failed, and when
it is tried next; after the last try it is no longer due, and waits for somebody to look at it.
Changing the record is a new start.
"""

import logging
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from mongoengine import get_db
from pymongo.errors import PyMongoError

from config.database import is_away
from documents.clock import now

log = logging.getLogger(__name__)

TRIES = 5
FIRST_PAUSE_SECONDS = 2.0
GROWTH = 4.0  # 2, 8, 32 and 128 seconds, give or take a third
JITTER = 1 / 3


def not_postponed(at: datetime) -> dict[str, Any]:
    """The part of a query that leaves out what is to be tried later."""
    return {"$or": [{"trouble.retry_at": None}, {"trouble.retry_at": {"$lte": at}}]}


def is_passing(error: BaseException) -> bool:
    """Whether the database was away or others were faster: no try of the record's."""
    if is_away(error):
        return True
    labels = ("TransientTransactionError", "UnknownTransactionCommitResult")
    return isinstance(error, PyMongoError) and any(map(error.has_error_label, labels))


def attempt(
    source: str, id_: ObjectId, settle: Callable[..., Any], *args: Any, **kwargs: Any
) -> int:
    """Settle one record by itself; should that fail, note it. Returns 1 when it was settled.

    Raises:
        PyMongoError: the database is away; the record was not tried.
    """
    try:
        settle(*args, **kwargs)
    except Exception as error:
        if is_passing(error):
            raise
        # Not the message: it may repeat what is in the record.
        log.error("%s %s cannot be settled: %s", source, id_, describe(error))
        log.debug("%s %s", source, id_, exc_info=True)
        _note(source, id_, describe(error))
        return 0
    return 1


def describe(error: BaseException) -> str:
    """What went wrong, without what is in the record."""
    code = getattr(error, "code", None)
    return f"{type(error).__name__}{f' (code {code})' if code else ''}"


def pause(tries: int, chance: random.Random | None = None) -> timedelta:
    """How long to wait after this many tries. Jittered, so that many do not come back at once."""
    spread = (chance or random).uniform(1 - JITTER, 1 + JITTER)
    return timedelta(seconds=FIRST_PAUSE_SECONDS * GROWTH ** (tries - 1) * spread)


def _note(source: str, id_: ObjectId, error: str) -> None:
    collection = get_db()[source]
    row = collection.find_one({"_id": id_, "due": {"$type": "date"}}, {"due": 1, "trouble": 1})
    if row is None:
        return
    tries = row.get("trouble", {}).get("tries", 0) + 1
    trouble: dict[str, Any] = {"tries": tries, "error": error}
    update: dict[str, Any] = {"$set": {"trouble": trouble}}
    if tries < TRIES:
        trouble["retry_at"] = now() + pause(tries)
    else:
        trouble["failed_at"] = now()
        update["$unset"] = {"due": ""}
    # Unless it was changed meanwhile: a change is a new start.
    collection.update_one({"_id": id_, "due": row["due"]}, update)
