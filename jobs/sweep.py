"""The sweep: finds what is due and was not settled, because its wake-up was lost or is late.

The queue is a convenience, this is the guarantee. It needs no Redis.
"""

import logging
import threading
import time
from datetime import timedelta
from typing import Any

from bson import ObjectId
from mongoengine import get_db
from pymongo.errors import PyMongoError

from config.database import is_away
from config.settings import settings
from documents import settling, tallying
from documents.clock import now
from documents.record import DUE
from documents.trouble import not_postponed
from jobs.tasks import match_window

log = logging.getLogger(__name__)

LOOKED_AT = 2000


def sweep(older_than: timedelta = timedelta(0)) -> int:
    """Settle what has been due for longer than this. Returns how many records that was."""
    before = now() - older_than
    done = 0
    for organization_id in _groups("deliveries", "organization_id", before):
        done += _guarded(lambda id_=organization_id: tallying.tally_organization(id_))
    fundraisers: dict[ObjectId, None] = {}
    for source in settling.SOURCES:
        fundraisers |= _groups(source, "fundraiser_id", before)
    for fundraiser_id in fundraisers:
        done += _guarded(lambda id_=fundraiser_id: settling.settle_fundraiser(id_, match_window()))
    return done


def _groups(source: str, group: str, before: Any) -> dict[ObjectId, None]:
    """Whose records are due the longest, in that order."""
    query = {"due": {**DUE["due"], "$lte": before}, **not_postponed(now())}
    due = get_db()[source].find(query, {group: 1})
    return {row[group]: None for row in due.sort("due", 1).limit(LOOKED_AT)}


def _guarded(settle: Any) -> int:
    """One group that cannot be settled must not keep the others from it."""
    try:
        return settle()
    except PyMongoError as error:
        if is_away(error):
            raise
        log.exception("sweep: a group could not be settled")
    except Exception:
        log.exception("sweep: a group could not be settled")
    return 0


class Sweeper(threading.Thread):
    """Sweeps in a worker until stopped: everything at the start, then what waits too long."""

    def __init__(self) -> None:
        super().__init__(name="sweep", daemon=True)
        self._stopping = threading.Event()

    def run(self) -> None:
        patience = timedelta(0)  # what a killed worker left must not wait
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                if done := sweep(patience):
                    log.info("sweep: %d settled", done)
                patience = timedelta(seconds=settings().sweep_seconds)
            except PyMongoError as error:
                log.warning("sweep: the database is away (%s)", type(error).__name__)
            spent = time.monotonic() - started
            self._stopping.wait(max(0.05, settings().sweep_seconds - spent))

    def stop(self, timeout: float) -> None:
        """Let it finish what it is doing."""
        self._stopping.set()
        self.join(timeout)
