"""The sweep: it settles what is due when a wake-up was lost or is late.

The queue makes settling fast, and the sweep makes it certain. The sweep needs no Redis.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial

from bson import ObjectId
from mongoengine import get_db

from config.observability.outage import Outage
from config.settings import settings
from config.transient_errors import is_passing
from documents.concurrency.batches import ISOLATION_SECONDS
from documents.concurrency.retries import describe, not_postponed
from documents.erased import items as erased_items
from documents.matching import late_touches, user_changes
from documents.payments import ingest as payments
from documents.privacy import erasure
from documents.rows.collections import collection
from documents.rows.user import UserRow
from documents.settling import settle as settling
from documents.storage.marks import DUE
from documents.tracking import ingest, unmatched
from documents.values.time import now
from jobs.tasks import policy

log = logging.getLogger(__name__)

Settling = Callable[[], int]
Group = tuple[str, ObjectId | None]


def sweep(older_than: timedelta = timedelta(0)) -> int:
    """Settle what has been due for longer than this. Returns how many records that was."""
    return sum(_guarded(settle) for _, settle in due_groups(older_than, math.inf))


def due_groups(
    older_than: timedelta, seconds: float = ISOLATION_SECONDS
) -> Iterator[tuple[Group, Settling]]:
    """Yield what has been due for longer than this, by what is settled together, and how.

    The groups are looked up as the caller goes on, because tallying makes emails and gifts due.

    Args:
        seconds: how long each group may isolate bad records before the next group's turn.
    """
    before = now() - older_than
    for id_ in _groups("deliveries", "organization_id", before):
        yield ("tally", id_), partial(ingest.tally_organization, id_, policy().clicks, seconds)
        yield ("payments", id_), partial(payments.take_in, id_, policy(), seconds)
    look_again = now() - max(older_than, unmatched.LOOK_AGAIN_AFTER)
    for id_ in _groups("events", "organization_id", look_again):
        yield ("look again", id_), partial(ingest.look_again, id_, policy().clicks, seconds)
    for id_ in _to_erase():
        yield ("erase", id_), partial(erasure.erase, id_)
    for id_ in erased_items.organizations():
        yield ("empty posts", id_), partial(erased_items.empty, id_)
    yield ("follow users", None), _follow_users
    for id_ in _groups("late_touches", "organization_id", now()):
        yield ("follow touches", id_), partial(_follow_touches, id_, seconds)
    fundraisers: dict[ObjectId, None] = {}
    for source in settling.SOURCES:
        fundraisers |= _groups(source, "fundraiser_id", before)
    for id_ in fundraisers:
        yield ("settle", id_), partial(settling.settle_fundraiser, id_, policy(), seconds)


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


def _follow_touches(organization_id: ObjectId, seconds: float) -> int:
    """Let the gifts look again that emails may have led to, as is known by now."""
    fundraisers = late_touches.follow(organization_id)
    return sum(settling.settle_fundraiser(id_, policy(), seconds) for id_ in fundraisers)


def _to_erase() -> list[ObjectId]:
    query = {"erase_due": {**erasure.DUE["erase_due"], "$lte": now()}}
    return [row["_id"] for row in collection(get_db(), UserRow).find(query, {"_id": 1})]


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
    """Sweeps in a worker until stopped: everything at the start, then what waits too long.

    Groups are settled by other threads, and one that takes long keeps no other group waiting: it
    is only not begun once more.
    """

    def __init__(self) -> None:
        super().__init__(name="sweep", daemon=True)
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(settings().worker_threads, "sweep")
        self._running: set[Group] = set()
        self._outage = Outage(log.warning, log.info)

    def run(self) -> None:
        patience = timedelta(0)  # what a killed worker left must not wait
        while not self._stopping.is_set():
            started = time.monotonic()
            with self._surviving():
                for group, settle in due_groups(patience):
                    self._begin(group, settle)
                patience = timedelta(seconds=settings().sweep_seconds)
                self._outage.end("sweep: the database answers again")
            spent = time.monotonic() - started
            self._stopping.wait(max(0.05, settings().sweep_seconds - spent))

    def _begin(self, group: Group, settle: Settling) -> None:
        if group not in self._running and not self._stopping.is_set():
            self._running.add(group)
            self._threads.submit(self._settle, group, settle)

    def _settle(self, group: Group, settle: Settling) -> None:
        with self._surviving():
            if done := _guarded(settle):
                log.info("sweep: %d settled", done)
        self._running.discard(group)

    def stop(self, timeout: float) -> None:
        """Let it finish what it is doing."""
        self._stopping.set()
        self.join(timeout)
        self._threads.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        """Log what fails within. The sweep is the guarantee, so it outlives any failure."""
        try:
            yield
        except Exception as error:
            if is_passing(error):
                self._outage.begin(f"sweep: the database is away or slow ({describe(error)})")
            else:
                log.exception("sweep: failed")
