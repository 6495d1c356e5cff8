"""The loop of the sender: find endpoints with due deliveries, load some, and let them be sent."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from bson import ObjectId
from pymongo.errors import PyMongoError

from config.observability.outage import Outage
from config.transient_errors import is_transient
from documents.concurrency.retries import describe_error
from documents.outgoing.due_deliveries import find_all_due, find_recently_due
from documents.values.time import now
from jobs.sender.endpoint_queue import SLOW_BATCH, EndpointQueue
from jobs.sender.lanes import Lanes
from jobs.sender.loading import Loaded, load_deliveries
from jobs.sender.results import ResultWriter

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
MIN_ROUND_SECONDS = 0.05
OUTAGE_PAUSE_SECONDS = 1.0
# Transactions commit later than they choose a time, and the clocks of hosts differ.
RECENT_SECONDS = 10.0
FULL_SEARCH_SECONDS = 10.0
FULL_SEARCH_SHARE = 0.05  # of the time
POSTPONEMENT_SECONDS = 30.0
STOP_SECONDS = 8.0
MAX_KNOWN_ENDPOINTS = 20_000


class Sender:
    """Sends due events until it is stopped. Only one should run, but several are harmless."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._wake = asyncio.Event()
        self._writer = ResultWriter(self._wake)
        self._queues: dict[ObjectId, EndpointQueue] = {}
        self._due: set[ObjectId] = set()
        self._postponed: dict[ObjectId, float] = {}
        self._poll_at = self._search_at = 0.0
        self._outage = Outage(log.warning, log.info)

    async def run(self, stopping: asyncio.Event, is_lost: Callable[[], bool]) -> None:
        """Send until `stopping` is set or the lease is lost. Finish the current requests first."""
        writing = asyncio.create_task(self._writer.run())
        try:
            while not stopping.is_set() and not is_lost():
                pause = MIN_ROUND_SECONDS if await self._step() else OUTAGE_PAUSE_SECONDS
                await _wait(stopping, pause)
                if not stopping.is_set():
                    await _wait(self._wake, POLL_SECONDS - MIN_ROUND_SECONDS)
        finally:
            await self._finish()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _step(self) -> bool:
        """Find and load deliveries. Return False if MongoDB is unavailable."""
        self._wake.clear()
        try:
            await self._find_due()
            await self._load()
        except PyMongoError as error:
            if not is_transient(error):
                raise
            self._outage.begin(f"events wait, because MongoDB fails ({describe_error(error)})")
            return False
        self._outage.end("MongoDB answers again")
        return True

    async def _find_due(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        if begun >= self._search_at:
            self._due.update(await asyncio.to_thread(find_all_due, now()))
            self._forget_idle()
            seconds = loop.time() - begun
            self._search_at = loop.time() + max(FULL_SEARCH_SECONDS, seconds / FULL_SEARCH_SHARE)
        elif begun >= self._poll_at:
            since = now() - timedelta(seconds=RECENT_SECONDS)
            self._due |= await asyncio.to_thread(find_recently_due, since, now())
        else:
            return
        self._poll_at = begun + POLL_SECONDS

    async def _load(self) -> None:
        limits = self._choose_limits(asyncio.get_running_loop().time())
        if not limits:
            return
        excluded = {id_: set(one.unfinished) for id_, one in self._queues.items() if id_ in limits}
        self._feed(limits, excluded, await asyncio.to_thread(load_deliveries, limits))

    def _choose_limits(self, at: float) -> dict[ObjectId, int]:
        """Return how many deliveries to load of each endpoint, within the limits of the lanes."""
        free = {id(lane): lane.max_loaded for lane in (self._lanes.fast, self._lanes.slow)}
        for queue in self._queues.values():
            free[id(queue.lane)] -= len(queue.unfinished)
        limits: dict[ObjectId, int] = {}
        for id_ in sorted(self._due, key=self._loaded_at):
            known = self._queues.get(id_)
            lane = known.lane if known else self._lanes.fast
            if free[id(lane)] <= 0 or self._postponed.get(id_, 0.0) > at:
                continue
            if known is None or known.wants_more(at):
                batch = known.batch if known else SLOW_BATCH
                free[id(lane)] -= batch
                limits[id_] = batch
        return limits

    def _loaded_at(self, id_: ObjectId) -> float:
        queue = self._queues.get(id_)
        return queue.loaded_at if queue else 0.0

    def _feed(
        self, limits: dict[ObjectId, int], excluded: dict[ObjectId, set[ObjectId]], loaded: Loaded
    ) -> None:
        at = asyncio.get_running_loop().time()
        self._due.difference_update(limits)
        self._due |= loaded.ending | loaded.postponed
        self._postponed |= dict.fromkeys(loaded.postponed, at + POSTPONEMENT_SECONDS)
        for endpoint in loaded.endpoints:
            id_ = endpoint.row["_id"]
            queue = self._queues.get(id_)
            if queue is None:
                queue = EndpointQueue(endpoint, self._lanes, self._writer.put)
                self._queues[id_] = queue
            queue.loaded_at = at
            queue.feed(endpoint, excluded.get(id_, set()))
            self._due.add(id_)  # until a load finds nothing

    def _forget_idle(self) -> None:
        """Forget endpoints without deliveries that are not failing, so that memory is bounded."""
        if len(self._queues) > MAX_KNOWN_ENDPOINTS:
            self._queues = {
                id_: one
                for id_, one in self._queues.items()
                if one.unfinished or one.pace.is_failing or id_ in self._due
            }

    async def _finish(self) -> None:
        """Finish the current requests, and store their results."""
        for queue in self._queues.values():
            queue.drop_waiting()
        senders = {task for queue in self._queues.values() for task in queue.list_senders()}
        if senders:
            _, hanging = await asyncio.wait(senders, timeout=STOP_SECONDS)
            for task in hanging:
                task.cancel()
        try:
            async with asyncio.timeout(STOP_SECONDS / 4):
                await self._writer.write_waiting()
        except TimeoutError:
            log.warning("results of some attempts are not stored; these events are sent again")


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most this long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
