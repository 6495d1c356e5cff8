"""Routing: from stored shared posts to webhook deliveries of organizations.

One transaction inserts a delivery for each organization that a post names, and removes the post.
Unrouted items stay in the post, so that it never keeps an item of an organization. A killed process
leaves all or nothing of this, and repeating it changes nothing. The deliveries are due, so counting
continues as for the organization's own webhook.

A transaction routes a few posts only, and takes no turn of an organization. So it waits for no
organization's backlog. A run ends after a second, so that a backlog of posts keeps no thread of a
worker. The sweep starts the next run.
"""

import random
import time
from collections.abc import Callable, Sequence
from functools import partial

from bson import ObjectId

from documents.concurrency.batches import GROUP_ISOLATION_SECONDS, Batches
from documents.concurrency.mutex import TURN_PAUSE_SECONDS, TurnTaken, take_turn
from documents.concurrency.retries import exclude_postponed
from documents.concurrency.single_flight import SingleFlight
from documents.rows.collections import collection
from documents.rows.shared_post import SharedPostRow
from documents.shared_accounts.owners import make_plan
from documents.shared_accounts.plan import RoutingPlan
from documents.shared_accounts.writing import measure_routes, write_routes
from documents.storage import shutdown
from documents.storage.marks import DUE_FILTER, find_due_groups
from documents.storage.transaction import in_transaction
from documents.values.time import now
from matchback.engine import Tx

POSTS_PER_BATCH = 100
ITEMS_PER_BATCH = 10_000
BYTES_PER_BATCH = 4 * 1024 * 1024
ROUTING_SECONDS = 1.0
TURN_PATIENCE_SECONDS = 0.2  # longer than most transactions of another worker
CHOSEN_POST_FIELDS = dict.fromkeys(("provider", "due", "items", "size", "version", "looks"), 1)

Wake = Callable[[ObjectId], None]

_flights = SingleFlight()


def route_posts(provider: str, wake: Wake, seconds: float | None = GROUP_ISOLATION_SECONDS) -> int:
    """Route due posts of a provider for a second. Return their number.

    Args:
        wake: function that wakes a worker for a new delivery.
        seconds: maximum time to isolate bad posts; None leaves them to the sweep.
    """
    # If other threads call meanwhile, the flight repeats the same run until its time is over.
    return _flights.run(provider, _Run(provider, wake, seconds).run)


def route_named_posts(ids: list[ObjectId], wake: Wake) -> int:
    """Route posts, together with other due posts of their providers."""
    due = find_due_groups("shared_posts", ids, "provider")
    return sum(route_posts(provider, wake, None) for provider in due)


class _Run:
    """One run over the due posts of a provider."""

    def __init__(self, provider: str, wake: Wake, seconds: float | None) -> None:
        self._provider = provider
        self._wake = wake
        self._batches = Batches(("shared posts", provider), POSTS_PER_BATCH, seconds)
        self._until = time.monotonic() + ROUTING_SECONDS
        # A large post can take longer than a transaction may. The next attempt has its plan.
        self._plans: dict[tuple[ObjectId, int], RoutingPlan] = {}

    def run(self) -> int:
        """Route batches until no post is due, or until the time is over."""
        done = 0
        turn_taken_at: float | None = None
        while time.monotonic() < self._until and not shutdown.has_begun():
            try:
                taken = self._batches.take(lambda: in_transaction(self._route))
            except TurnTaken:
                turn_taken_at = turn_taken_at or time.monotonic()
                if time.monotonic() - turn_taken_at > TURN_PATIENCE_SECONDS:
                    break  # another worker routes these posts
                time.sleep(random.uniform(0, 2 * TURN_PAUSE_SECONDS))  # noqa: S311
                continue
            if not taken:
                break
            done, turn_taken_at = done + taken, None
        return done

    def _route(self, tx: Tx) -> int:
        self._batches.taken = []  # the transaction may have started again
        take_turn(tx, f"shared posts:{self._provider}")
        posts = self._choose(tx)
        if posts:
            plans = self._make_plans(tx, posts)
            deliveries = write_routes(tx, posts, plans)
            tx.on_commit(partial(self._finish, posts, plans, deliveries))
        return len(posts)

    def _choose(self, tx: Tx) -> list[SharedPostRow]:
        """Return the next due posts without their bodies, within the limits of a batch."""
        found = collection(tx.database, SharedPostRow).find(
            {"provider": self._provider, **DUE_FILTER, **exclude_postponed(now())},
            CHOSEN_POST_FIELDS,
            sort=[("due", 1)],
            limit=self._batches.limit,
            session=tx.session,
        )
        posts = choose_posts(list(found))
        self._batches.taken = [("shared_posts", post["_id"]) for post in posts]
        return posts

    def _make_plans(self, tx: Tx, posts: Sequence[SharedPostRow]) -> list[RoutingPlan]:
        keys = [(post["_id"], post["version"]) for post in posts]
        self._plans = {key: self._plans[key] for key in keys if key in self._plans}
        missing = [id_ for id_, version in keys if (id_, version) not in self._plans]
        for post in collection(tx.database, SharedPostRow).find(
            {"_id": {"$in": missing}}, session=tx.session
        ):
            self._plans[post["_id"], post["version"]] = make_plan(tx, post)
        return [self._plans[key] for key in keys]

    def _finish(
        self,
        posts: Sequence[SharedPostRow],
        plans: Sequence[RoutingPlan],
        deliveries: Sequence[ObjectId],
    ) -> None:
        for id_ in deliveries:
            self._wake(id_)
        measure_routes(posts, plans)


def choose_posts(posts: Sequence[SharedPostRow]) -> list[SharedPostRow]:
    """Return the first posts that fit into one batch, at least one."""
    chosen: list[SharedPostRow] = []
    items = size = 0
    for post in posts:
        items, size = items + post["items"], size + post["size"]
        if chosen and (items > ITEMS_PER_BATCH or size > BYTES_PER_BATCH):
            break
        chosen.append(post)
    return chosen
