"""Run a function in one MongoDB transaction, again from the start when it met another."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pymongo
from mongoengine import get_db
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import PyMongoError

from config.observability.metrics import TRANSACTION_RETRIES
from documents.storage import shutdown
from matchback.engine import transaction as engine

T = TypeVar("T")
DUPLICATE_KEY = engine.DUPLICATE_KEY
RETRY_SECONDS = 5.0  # after that no new attempt begins
LONGEST_SECONDS = 20.0  # for all attempts, each commit repeated until its result is known


class _Try(threading.local):
    """What is to be done once the transaction of this thread is committed."""

    def __init__(self) -> None:
        self.afterwards: list[Callable[[], None]] = []


_try = _Try()


def on_commit(call: Callable[[], None]) -> None:
    """From the work of a transaction: do this when it has been committed, and not for each try."""
    _try.afterwards.append(call)


class Contended(PyMongoError):
    """A transaction met others for too long, or this process is stopping. Nothing was changed."""

    @property
    def timeout(self) -> bool:
        """As PyMongo's own: the work was not done in time."""
        return True


def in_transaction(work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Do work(database, session, *args, **kwargs) on the connected database; see the engine's.

    Raises:
        Contended: PyMongo would repeat the work for two minutes, and hold a thread meanwhile.
        PyMongoError: the database was unavailable, slow, or rejected the work.
    """
    tries = 0
    deadline = time.monotonic() + RETRY_SECONDS

    def attempt(database: Database, session: ClientSession) -> T:
        nonlocal tries
        tries += 1
        if tries > 1 and (time.monotonic() > deadline or shutdown.has_begun()):
            raise Contended(f"given up after {tries - 1} attempts")
        _try.afterwards = []
        return work(database, session, *args, **kwargs)

    try:
        with pymongo.timeout(LONGEST_SECONDS):
            done = engine.in_transaction(get_db(), attempt)
    finally:
        if tries > 1:
            TRANSACTION_RETRIES.labels(work.__name__.strip("_")).inc(tries - 1)
    for call in _try.afterwards:
        call()
    return done
