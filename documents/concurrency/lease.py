"""Leases for periodic jobs: one process at a time runs a job, and another takes over if it dies.

A lease only avoids duplicate work. Correctness never depends on it, because a paused holder may
continue after its lease expires.
"""

import logging
import os
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pymongo
from mongoengine import DateTimeField, DictField, StringField, get_db
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, PyMongoError

from config.background import BackgroundThread
from config.database import MILLISECONDS_PER_SECOND
from documents.storage.base import Document

log = logging.getLogger(__name__)

LEASE_SECONDS = 20.0  # A killed holder blocks the others for this long.
RENEWAL_SECONDS = 5.0
RENEWAL_TIMEOUT_SECONDS = 3.0
RENEWAL_THREADS = 8


class Lease(Document):
    """The holder of a job, and the time at which the lease expires unless it is renewed.

    Versions without `token` wrote a holder that other processes may share, and leases of an hour.
    Such a lease expires when its `until` does not change for LEASE_SECONDS. `noticed` records when
    another process first read that value.
    """

    name = StringField(primary_key=True)
    holder = StringField(required=True)
    until = DateTimeField(required=True)
    token = StringField()
    noticed = DictField()

    meta = {"collection": "leases", "auto_create_index": False}


class HeldLease:
    """A lease that this process holds. A thread renews it in the background."""

    def __init__(self, name: str, token: str) -> None:
        self._name = name
        self._token = token
        self._pid = os.getpid()
        self._leases = get_db().leases
        self._expires_at = 0.0

    def take(self) -> bool:
        """Take or renew the lease. Return False if another holder has it."""
        begun_at = time.monotonic()
        is_ours = _take(self._leases, self._name, self._token)
        self._expires_at = begun_at + LEASE_SECONDS if is_ours else 0.0
        return is_ours

    def renew(self) -> None:
        """Renew the lease. If another holder has taken it, it stays lost."""
        begun_at = time.monotonic()
        ours = {"_id": self._name, "holder": self._token}
        try:
            with pymongo.timeout(RENEWAL_TIMEOUT_SECONDS):
                until = {"until": _from_now(LEASE_SECONDS)}
                renewed = self._leases.update_one(ours, [{"$set": until}])
        except PyMongoError:
            return  # The next renewal may succeed before the lease expires.
        self._expires_at = begun_at + LEASE_SECONDS if renewed.matched_count else 0.0

    def is_lost(self) -> bool:
        """Return whether another process may now hold the lease. Call this before each write."""
        return time.monotonic() >= self._expires_at or os.getpid() != self._pid

    def release_lease(self) -> None:
        """Release the lease. A forked child does not release the lease of its parent."""
        if os.getpid() == self._pid:
            self._leases.delete_one({"_id": self._name, "holder": self._token})


@contextmanager
def hold_lease(name: str) -> Iterator[HeldLease | None]:
    """Hold a lease within the block, and release it at the end.

    Yield None if another holder has the lease. Two threads of a process are two holders.
    """
    holding = HeldLease(name, secrets.token_hex())
    if not holding.take():
        yield None
        return
    with _renewed(holding):
        try:
            yield holding
        finally:
            holding.release_lease()


@contextmanager
def keep_lease(name: str) -> Iterator[HeldLease | None]:
    """Hold a lease within the block, and keep it afterwards until it expires.

    This suits a job of many steps with pauses, because one process then runs all steps. Yield None
    if another process has the lease.
    """
    holding = HeldLease(name, _holder())
    if not holding.take():
        yield None
        return
    with _renewed(holding):
        yield holding


_renewing: set[HeldLease] = set()


@contextmanager
def _renewed(holding: HeldLease) -> Iterator[None]:
    _renewer.ensure_started()
    _renewing.add(holding)
    try:
        yield
    finally:
        _renewing.discard(holding)


def _renew_all() -> None:
    """Renew each lease in the background. A renewal that hangs does not delay other leases."""
    running: dict[HeldLease, Future[None]] = {}
    with ThreadPoolExecutor(RENEWAL_THREADS, "leases") as threads:
        while True:
            time.sleep(RENEWAL_SECONDS)
            running = {one: future for one, future in running.items() if not future.done()}
            for holding in tuple(_renewing):
                if holding in running:
                    continue
                try:
                    running[holding] = threads.submit(_renew, holding)
                except RuntimeError as error:  # The process is ending, or cannot start a thread.
                    log.warning("cannot renew a lease: %s", error)


def _renew(holding: HeldLease) -> None:
    try:
        holding.renew()
    except Exception:
        log.exception("cannot renew a lease")


_renewer = BackgroundThread("leases", _renew_all)
_token = secrets.token_hex()


def _holder() -> str:
    """Return the token of this process. Containers may share a host name and a PID."""
    return _token


def _begin_anew() -> None:
    """Create a token for a forked child, because its parent holds the leases."""
    global _token  # noqa: PLW0603
    _token = secrets.token_hex()
    _renewing.clear()


os.register_at_fork(after_in_child=_begin_anew)


def _take(leases: Collection[Any], name: str, token: str) -> bool:
    """Take a lease by MongoDB's clock, because the clocks of hosts differ."""
    try:
        row = leases.find_one_and_update(
            {"_id": name}, [{"$set": _claim(token)}], upsert=True, return_document=True
        )
    except DuplicateKeyError:  # Another process has just inserted it.
        return False
    return row is not None and row["holder"] == token


def _claim(token: str) -> dict[str, Any]:
    """Return the new values of a lease, which keep the current holder unless the lease is free."""
    has_no_token = {"$ne": ["$holder", "$token"]}
    is_noticed = {"$eq": ["$noticed.until", "$until"]}
    is_overdue = {"$lte": ["$noticed.at", _from_now(-LEASE_SECONDS)]}
    is_free = {
        "$or": [
            {"$eq": ["$holder", token]},
            {"$lte": ["$until", "$$NOW"]},
            {"$and": [has_no_token, is_noticed, is_overdue]},
        ]
    }
    noticed = {"$cond": [is_noticed, "$noticed", {"until": "$until", "at": "$$NOW"}]}
    is_waiting = {"$and": [has_no_token, {"$not": is_free}]}
    return {
        "holder": {"$cond": [is_free, token, "$holder"]},
        "token": {"$cond": [is_free, token, "$token"]},
        "until": {"$cond": [is_free, _from_now(LEASE_SECONDS), "$until"]},
        "noticed": {"$cond": [is_waiting, noticed, "$$REMOVE"]},
    }


def _from_now(seconds: float) -> dict[str, Any]:
    return {"$add": ["$$NOW", int(seconds * MILLISECONDS_PER_SECOND)]}
