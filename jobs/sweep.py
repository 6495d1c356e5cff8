"""Sweep: settles due records whose wake-up was lost or is late.

The queue makes settling fast, and the sweep makes it certain. The sweep needs no Redis.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from config.observability.outage import Outage
from config.settings import get_settings
from config.transient_errors import is_transient
from documents.concurrency.batches import GROUP_ISOLATION_SECONDS
from documents.concurrency.retries import describe_error, exclude_postponed
from documents.erased import items as erased_items
from documents.matching import late_touches, user_changes
from documents.payments import ingest as payments
from documents.privacy import erasure
from documents.rows.collections import collection
from documents.rows.user import UserRow
from documents.settling import settle as settling
from documents.shared_accounts import routing, unrouted
from documents.storage.due_groups import list_groups_by_age
from documents.tracking import ingest, unmatched
from documents.values.time import now
from jobs.tasks import build_settling_policy, wake_tally

log = logging.getLogger(__name__)

SettleFunction = Callable[[], int]
DueGroup = tuple[str, Hashable]


def sweep_due_records(older_than: timedelta = timedelta(0)) -> int:
    """Settle all records that have been due for longer than this. Return their number."""
    return sum(_guarded(settle) for _, settle in iterate_due_groups(older_than, math.inf))


def iterate_due_groups(
    older_than: timedelta, seconds: float = GROUP_ISOLATION_SECONDS
) -> Iterator[tuple[DueGroup, SettleFunction]]:
    """Yield each group that has been due for longer than this, with a function that settles it.

    Look up each group only when the caller reaches it, because tallying makes emails and gifts due.

    Args:
        seconds: maximum time for a group to isolate bad records before the next group's turn.
    """
    before = now() - older_than
    yield ("look at unrouted items", None), unrouted.make_due_again
    for provider in _groups("shared_posts", before):  # first, because it makes deliveries due
        yield ("route", provider), partial(routing.route_posts, provider, wake_tally, seconds)
    for id_ in _groups("deliveries", before):
        yield (
            ("tally", id_),
            partial(ingest.tally_organization, id_, build_settling_policy().clicks, seconds),
        )
        yield (
            ("payments", id_),
            partial(payments.ingest_payments, id_, build_settling_policy(), seconds),
        )
    look_again = now() - max(older_than, unmatched.UNMATCHED_RETRY_INTERVAL)
    for id_ in _groups("events", look_again):
        yield (
            ("look again", id_),
            partial(ingest.retry_unmatched_events, id_, build_settling_policy().clicks, seconds),
        )
    for id_ in _to_erase():
        yield ("erase", id_), partial(erasure.erase_user, id_)
    for id_ in erased_items.list_organizations_with_items():
        yield ("empty posts", id_), partial(erased_items.empty_noted_items, id_)
    yield ("follow users", None), _follow_users
    for id_ in _groups("late_touches", now()):
        yield ("follow touches", id_), partial(_follow_touches, id_, seconds)
    fundraisers: dict[Any, None] = {}
    for source in settling.SETTLING_ORDER:
        fundraisers |= _groups(source, before)
    for id_ in fundraisers:
        yield (
            ("settle", id_),
            partial(settling.settle_fundraiser, id_, build_settling_policy(), seconds),
        )


def _groups(source: str, before: datetime) -> dict[Any, None]:
    """Return the groups with due records. The group that has waited longest comes first."""
    return dict.fromkeys(list_groups_by_age(source, before, **exclude_postponed(now())))


def _follow_users() -> int:
    """Mark the gifts of new and changed users, so that their fundraisers settle them."""
    return len(user_changes.mark_gifts_of_users())


def _follow_touches(organization_id: ObjectId, seconds: float) -> int:
    """Match gifts again that late data may affect. Return the number of settled records."""
    fundraisers = late_touches.mark_gifts_of_notes(organization_id)
    return sum(
        settling.settle_fundraiser(id_, build_settling_policy(), seconds) for id_ in fundraisers
    )


def _to_erase() -> list[ObjectId]:
    query = {"erase_due": {**erasure.ERASURE_DUE_FILTER["erase_due"], "$lte": now()}}
    return [row["_id"] for row in collection(get_db(), UserRow).find(query, {"_id": 1})]


def _guarded(settle: SettleFunction) -> int:
    """Settle a group. Log a failure, so that one bad group does not block the others."""
    try:
        return settle()
    except Exception as error:
        if is_transient(error):
            raise
        log.exception("sweep: cannot settle a group")
    return 0


class Sweeper(threading.Thread):
    """A thread that sweeps until stopped: everything at the start, then records that wait too long.

    Other threads settle the groups. A slow group does not delay other groups. The sweep does
    not start a running group again.
    """

    def __init__(self) -> None:
        super().__init__(name="sweep", daemon=True)
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(get_settings().worker_threads, "sweep")
        self._running: set[DueGroup] = set()
        self._outage = Outage(log.warning, log.info)

    def run(self) -> None:
        patience = timedelta(0)  # records of a killed worker must not wait
        while not self._stopping.is_set():
            started = time.monotonic()
            with self._surviving():
                for group, settle in iterate_due_groups(patience):
                    self._begin(group, settle)
                patience = timedelta(seconds=get_settings().sweep_seconds)
                self._outage.end("sweep: the database answers again")
            spent = time.monotonic() - started
            self._stopping.wait(max(0.05, get_settings().sweep_seconds - spent))

    def _begin(self, group: DueGroup, settle: SettleFunction) -> None:
        if group not in self._running and not self._stopping.is_set():
            self._running.add(group)
            self._threads.submit(self._settle, group, settle)

    def _settle(self, group: DueGroup, settle: SettleFunction) -> None:
        with self._surviving():
            if done := _guarded(settle):
                log.info("sweep: %d settled", done)
        self._running.discard(group)

    def stop(self, timeout: float) -> None:
        """Stop after the current sweep."""
        self._stopping.set()
        self.join(timeout)
        self._threads.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        """Log any failure. The sweep guarantees settling, so it must outlive every failure."""
        try:
            yield
        except Exception as error:
            if is_transient(error):
                self._outage.begin(
                    f"sweep: the database is unavailable or slow ({describe_error(error)})"
                )
            else:
                log.exception("sweep: failed")
