"""The deliveries of one endpoint that are in memory, and the tasks that send them."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from bson import ObjectId

from documents.outgoing.attempts import Attempt
from documents.outgoing.endpoint_health import EndpointHealth
from documents.values.time import now
from jobs.sender.client import LocalProblem
from jobs.sender.lanes import Lane, Lanes
from jobs.sender.loading import LoadedDelivery, LoadedEndpoint
from jobs.sender.pace import Pace

log = logging.getLogger(__name__)

FAILING_BATCH, SLOW_BATCH, FAST_BATCH = 1, 16, 512
REFILL_BELOW = FAST_BATCH // 4
FAST_LIMIT = 8  # requests at once

Note = Callable[["EndpointQueue", LoadedDelivery, Attempt], None]


class EndpointQueue:
    """The queue of one endpoint. All methods run in the event loop.

    Attributes:
        unfinished: deliveries in memory whose result is not stored yet.
        loaded_at: time of the last load.
    """

    def __init__(self, endpoint: LoadedEndpoint, lanes: Lanes, note: Note) -> None:
        self._lanes = lanes
        self._note = note
        self._waiting: deque[LoadedDelivery] = deque()
        self._senders: set[asyncio.Task[None]] = set()
        self._endpoint = endpoint
        self.health = EndpointHealth(endpoint.row)
        self.pace = Pace(is_failing=endpoint.row.get("failing_since") is not None)
        self.unfinished: set[ObjectId] = set()
        self.loaded_at = 0.0

    @property
    def lane(self) -> Lane:
        """The lane that the next requests use."""
        return self._lanes.slow if self.pace.is_slow else self._lanes.fast

    @property
    def batch(self) -> int:
        """Number of deliveries to load at once."""
        if self.pace.is_failing:
            return FAILING_BATCH
        return FAST_BATCH if self.pace.limit >= FAST_LIMIT else SLOW_BATCH

    def wants_more(self, at: float) -> bool:
        """Return whether to load deliveries now."""
        if self.pace.is_paused(at):
            return False
        if self.batch < FAST_BATCH or self.health.disabled_reason:
            return not self.unfinished
        return len(self._waiting) < REFILL_BELOW

    def feed(self, endpoint: LoadedEndpoint, excluded: set[ObjectId]) -> int:
        """Add loaded deliveries, except the excluded and the unfinished ones. Return how many.

        Args:
            excluded: deliveries that were unfinished before the load began.
        """
        self._endpoint = endpoint
        self.health.refresh(endpoint.row)
        known = excluded | self.unfinished
        fresh = [one for one in endpoint.deliveries if one.row["_id"] not in known]
        fresh = fresh[: self.batch]
        self._waiting.extend(fresh)
        self.unfinished.update(one.row["_id"] for one in fresh)
        self._start_senders()
        return len(fresh)

    def finish(self, id_: ObjectId) -> None:
        """Forget a delivery whose result is stored."""
        self.unfinished.discard(id_)

    def drop_waiting(self) -> None:
        """Forget the deliveries that are not being sent. They are still due in the database."""
        self.unfinished.difference_update(one.row["_id"] for one in self._waiting)
        self._waiting.clear()

    def list_senders(self) -> set[asyncio.Task[None]]:
        """Return the tasks that are sending."""
        return set(self._senders)

    def _start_senders(self) -> None:
        for _ in range(min(self.pace.limit - len(self._senders), len(self._waiting))):
            task = asyncio.create_task(self._send_waiting())
            self._senders.add(task)
            task.add_done_callback(self._senders.discard)

    async def _send_waiting(self) -> None:
        """Send one delivery after another, and start more senders when the limit grows."""
        while self._waiting and len(self._senders) <= self.pace.limit:
            delivery = self._waiting.popleft()
            try:
                await self._send(delivery)
            except LocalProblem as error:
                log.warning("events wait, because this machine cannot send: %s", error)
                self._postpone(delivery)
            except Exception:
                log.exception("event delivery %s cannot be sent", delivery.row["_id"])
                self._postpone(delivery)
            self._start_senders()

    async def _send(self, delivery: LoadedDelivery) -> None:
        lane, endpoint = self.lane, self._endpoint
        async with lane.slots:
            headers = endpoint.signer.build_headers(delivery.event_id, delivery.body, now())
            attempt = await lane.client.post(endpoint.url, headers, delivery.body)
        at = asyncio.get_running_loop().time()
        self.pace.note(attempt, at)
        self.health.note(attempt)
        if self.pace.is_paused(at) or self.health.disabled_reason:
            self.drop_waiting()
        self._note(self, delivery, attempt)

    def _postpone(self, delivery: LoadedDelivery) -> None:
        self.pace.pause(asyncio.get_running_loop().time())
        self.finish(delivery.row["_id"])
        self.drop_waiting()
