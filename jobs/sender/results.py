"""Bulk writes of the results of attempts."""

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from config.observability.metrics import observe_event_attempts
from config.observability.outage import Outage
from config.transient_errors import is_transient
from documents.concurrency.retries import describe_error
from documents.outgoing.attempts import Attempt, write_attempts
from documents.outgoing.endpoint_health import write_health
from jobs.sender.endpoint_queue import EndpointQueue
from jobs.sender.loading import LoadedDelivery

log = logging.getLogger(__name__)

WRITE_INTERVAL_SECONDS = 0.03
MAX_RESULTS_PER_WRITE = 1_000
OUTAGE_PAUSE_SECONDS = 1.0


class Result(NamedTuple):
    """The result of one attempt."""

    queue: EndpointQueue
    delivery: LoadedDelivery
    attempt: Attempt


class ResultWriter:
    """Writes results in the background. A result counts as stored only after its write."""

    def __init__(self, written: asyncio.Event) -> None:
        self._results: list[Result] = []
        self._updates: list[UpdateOne] = []
        self._arrived = asyncio.Event()
        self._written = written
        self._outage = Outage(log.warning, log.info)

    def put(self, queue: EndpointQueue, delivery: LoadedDelivery, attempt: Attempt) -> None:
        """Add a result, and what it means for the endpoint."""
        self._results.append(Result(queue, delivery, attempt))
        self._updates += queue.health.take_updates()
        self._arrived.set()

    async def run(self) -> None:
        """Write until the task is cancelled."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(WRITE_INTERVAL_SECONDS)  # more results join
            await self.write_waiting()

    async def write_waiting(self) -> None:
        """Write all results. While MongoDB is unavailable, retry."""
        self._arrived.clear()
        while self._results or self._updates:
            results = self._results[:MAX_RESULTS_PER_WRITE]
            updates, self._updates = self._updates, []
            while not await self._write(results, updates):
                await asyncio.sleep(OUTAGE_PAUSE_SECONDS)
            del self._results[: len(results)]
            for one in results:
                one.queue.finish(one.delivery.row["_id"])
            self._written.set()

    async def _write(self, results: Sequence[Result], updates: Sequence[UpdateOne]) -> bool:
        """Write. Return False if the same must be written again."""
        try:
            await asyncio.to_thread(_write_all, results, updates)
        except PyMongoError as error:
            if is_transient(error):
                self._outage.begin(
                    f"results wait, because MongoDB is unavailable ({describe_error(error)})"
                )
                return False
            # The events are still due, so they are sent again.
            log.exception("results of %d attempts cannot be stored", len(results))
            for one in results:
                one.queue.pace.pause(asyncio.get_running_loop().time())
        self._outage.end("MongoDB stores results again")
        return True


def _write_all(results: Sequence[Result], updates: Sequence[UpdateOne]) -> None:
    if results:
        write_attempts((one.delivery.row, one.attempt) for one in results)
        observe_event_attempts((one.attempt.is_success, one.attempt.seconds) for one in results)
    write_health(updates)
