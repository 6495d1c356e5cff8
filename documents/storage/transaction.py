"""Execution of a function in one MongoDB transaction, with retries after write conflicts."""

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
MAX_RETRY_SECONDS = 5.0  # no attempt begins after this time
# for all attempts, including repeated commits until the result is known
MAX_TRANSACTION_SECONDS = 20.0


class ContendedTransaction(PyMongoError):
    """Conflicts lasted too long, or this process is stopping. The transaction changed nothing."""

    @property
    def timeout(self) -> bool:
        """Always true, because PyMongo's own timeout errors set this flag."""
        return True


def in_transaction(work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run work(tx, *args, **kwargs) on the connected database; see the engine's function.

    PyMongo would retry for two minutes and block a thread. This function stops earlier.

    Raises:
        ContendedTransaction: conflicts lasted too long, or this process is stopping.
        PyMongoError: MongoDB was unavailable or slow, or rejected the work.
    """
    retries = 0
    deadline = time.monotonic() + MAX_RETRY_SECONDS

    def attempt(tx: Tx) -> T:
        nonlocal retries
        retries = tx.attempt
        if retries and (time.monotonic() > deadline or shutdown.has_begun()):
            raise ContendedTransaction(f"stopped after {retries} attempts")
        return work(tx, *args, **kwargs)

    try:
        with pymongo.timeout(MAX_TRANSACTION_SECONDS):
            return engine.in_transaction(get_db(), attempt)
    finally:
        if retries:
            TRANSACTION_RETRIES.labels(work.__name__.strip("_")).inc(retries)
