"""The sweep: finds what is due and was not settled, because its wake-up was lost or is late.

The queue is a convenience, this is the guarantee. It needs no Redis.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from config.settings import settings
from documents import erasure, late_events, payments, settling, tallying, user_changes
from documents.clock import now
from documents.marks import DUE
from documents.trouble import is_passing, not_postponed
from jobs.tasks import policy

log = logging.getLogger(__name__)

Settling = Callable[[], int]


def sweep(older_than: timedelta = timedelta(0), spread: Any = map) -> int:
    """Settle what has been due for longer than this. Returns how many records that was.

    Args:
        spread: how the groups are gone through: one after the other, or an executor's `map`, so
            that one busy group does not keep the others waiting.
    """
    before = now() - older_than
    organizations = _groups("deliveries", "organization_id", before)
    work: list[Settling] = [
        *(partial(tallying.tally_organization, id_, policy().clicks) for id_ in organizations),
        *(partial(payments.take_in, id_, policy()) for id_ in organizations),
    ]
    look_again = now() - max(older_than, late_events.LOOK_AGAIN_AFTER)
    work += [
        partial(tallying.look_again, id_, policy().clicks)
        for id_ in _groups("events", "organization_id", look_again)
    ]
    work += [partial(erasure.erase, id_) for id_ in _to_erase()]
    done = sum(spread(_guarded, work)) + _guarded(_follow_users)
    fundraisers: dict[ObjectId, None] = {}
    for source in settling.SOURCES:
        fundraisers |= _groups(source, "fundraiser_id", before)
    work = [partial(settling.settle_fundraiser, id_, policy()) for id_ in fundraisers]
    return done + sum(spread(_guarded, work))


def _groups(source: str, group: str, before: datetime) -> dict[ObjectId, None]:
    """Whose records are due, those who wait the longest first."""
    query = {"due": {**DUE["due"], "$lte": before}, **not_postponed(now())}
    found = get_db()[source].aggregate(
        [
            {"$match": query},
            {"$group": {"_id": f"${group}", "since": {"$min": "$due"}}},
            {"$sort": {"since": 1}},
        ]
    )
    return {row["_id"]: None for row in found}


def _follow_users() -> int:
    """Mark the gifts of users who came or moved; they are settled with what else is due."""
    return len(user_changes.follow())


def _to_erase() -> list[ObjectId]:
    query = {"erase_due": {**erasure.DUE["erase_due"], "$lte": now()}}
    return [row["_id"] for row in get_db().users.find(query, {"_id": 1})]


def _guarded(settle: Settling) -> int:
    """One group that cannot be settled must not keep the others from it."""
    try:
        return settle()
    except Exception as error:
        if is_passing(error):
            raise
        log.exception("sweep: a group could not be settled")
    return 0


class Sweeper(threading.Thread):
    """Sweeps in a worker until stopped: everything at the start, then what waits too long."""

    def __init__(self) -> None:
        super().__init__(name="sweep", daemon=True)
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(settings().worker_threads, "sweep")

    def run(self) -> None:
        patience = timedelta(0)  # what a killed worker left must not wait
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                if done := sweep(patience, self._threads.map):
                    log.info("sweep: %d settled", done)
                patience = timedelta(seconds=settings().sweep_seconds)
            except Exception as error:
                # Whatever it is: this thread is the guarantee, and must outlive it.
                if is_passing(error):
                    log.warning("sweep: the database is away (%s)", type(error).__name__)
                else:
                    log.exception("sweep: failed; it is tried again")
            spent = time.monotonic() - started
            self._stopping.wait(max(0.05, settings().sweep_seconds - spent))

    def stop(self, timeout: float) -> None:
        """Let it finish what it is doing."""
        self._stopping.set()
        self.join(timeout)
        self._threads.shutdown(wait=False, cancel_futures=True)
