"""Run a function in one MongoDB transaction, and again from the start after a write conflict."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import pymongo
from mongoengine import get_db
from pymongo.errors import PyMongoError

from config.observability.metrics import TRANSACTION_RETRIES
from documents.storage import shutdown
from matchback.engine import Tx
from matchback.engine import transaction as engine

T = TypeVar("T")
DUPLICATE_KEY_CODE = engine.DUPLICATE_KEY_CODE
MAX_RETRY_SECONDS = 5.0  # after that no new attempt begins
MAX_TRANSACTION_SECONDS = 20.0  # for all attempts, each commit repeated until its result is known


class ContendedTransaction(PyMongoError):
    """A transaction met others for too long, or this process is stopping. Nothing was changed."""

    @property
    def timeout(self) -> bool:
        """Return true, as PyMongo's own errors do when the time is over."""
        return True


def in_transaction(work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Do work(tx, *args, **kwargs) on the connected database; see the engine's.

    Raises:
        Contended: PyMongo would repeat the work for two minutes, and hold a thread meanwhile.
        PyMongoError: the database was unavailable, slow, or rejected the work.
    """
    retries = 0
    deadline = time.monotonic() + MAX_RETRY_SECONDS

    def attempt(tx: Tx) -> T:
        nonlocal retries
        retries = tx.attempt
        if retries and (time.monotonic() > deadline or shutdown.has_begun()):
            raise ContendedTransaction(f"given up after {retries} attempts")
        return work(tx, *args, **kwargs)

    try:
        with pymongo.timeout(MAX_TRANSACTION_SECONDS):
            return engine.in_transaction(get_db(), attempt)
    finally:
        if retries:
            TRANSACTION_RETRIES.labels(work.__name__.strip("_")).inc(retries)
