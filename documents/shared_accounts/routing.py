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
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

from bson import ObjectId
from pymongo import DeleteOne, UpdateOne

from config.observability import metrics
from documents.concurrency.batches import GROUP_ISOLATION_SECONDS, Batches
from documents.concurrency.mutex import TURN_PAUSE_SECONDS, TurnTaken, take_turn
from documents.concurrency.retries import exclude_postponed
from documents.concurrency.single_flight import SingleFlight
from documents.giving_links.link_token import refresh_link_keys
from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.shared_post import SharedPostRow
from documents.shared_accounts.plan import RoutingPlan, plan_routes
from documents.shared_accounts.rules import UNKNOWN_EMAIL, choose_next_look, make_delivery_id
from documents.storage import shutdown
from documents.storage.marks import DUE_FILTER, find_due_groups
from documents.storage.record import build_record_row
from documents.storage.transaction import in_transaction
from documents.values.time import now
from documents.webhook_delivery import WebhookDelivery
from matchback.engine import Tx, Update

POSTS_PER_BATCH = 100
ITEMS_PER_BATCH = 10_000
BYTES_PER_BATCH = 4 * 1024 * 1024
IDS_PER_QUERY = 1000
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
            deliveries = _write(tx, posts, plans)
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
        _measure(posts, plans)


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


def make_plan(tx: Tx, post: SharedPostRow) -> RoutingPlan:
    """Return the plan of a post. A token may need a key that is newer than the cached keys."""

    def find(ids: set[ObjectId]) -> Mapping[ObjectId, ObjectId]:
        return find_organizations(tx, ids)

    plan = plan_routes(post["provider"], bytes(post["body"]), find)
    if UNKNOWN_EMAIL in plan.reasons and refresh_link_keys():
        return plan_routes(post["provider"], bytes(post["body"]), find)
    return plan


def find_organizations(tx: Tx, email_ids: set[ObjectId]) -> dict[ObjectId, ObjectId]:
    """Return the organization of each existing email, deleted or not."""
    found: dict[ObjectId, ObjectId] = {}
    left = iter(email_ids)
    while ids := list(islice(left, IDS_PER_QUERY)):
        rows = collection(tx.database, EmailRow).find(
            {"_id": {"$in": ids}}, {"organization_id": 1}, session=tx.session
        )
        found |= {row["_id"]: row["organization_id"] for row in rows}
    return found


def _write(tx: Tx, posts: Sequence[SharedPostRow], plans: Sequence[RoutingPlan]) -> list[ObjectId]:
    """Insert the deliveries, and remove what is routed from the posts. Return the deliveries."""
    at = now()
    rows = [row for post, plan in zip(posts, plans, strict=True) for row in _deliver(post, plan)]
    if rows:
        tx.database.deliveries.insert_many(rows, ordered=False, session=tx.session)
    updates = [_settle_post(post, plan, at) for post, plan in zip(posts, plans, strict=True)]
    tx.database.shared_posts.bulk_write(updates, ordered=False, session=tx.session)
    return [row["_id"] for row in rows]


def _deliver(post: SharedPostRow, plan: RoutingPlan) -> list[dict[str, Any]]:
    """Return the deliveries of a post, one for each organization."""
    return [
        build_record_row(
            WebhookDelivery,
            _id=make_delivery_id(post["_id"], post["version"], organization_id),
            organization_id=organization_id,
            provider=post["provider"],
            body=plan.encode(items),
            items=len(items),
            due=now(),
        )
        for organization_id, items in plan.routed.items()
    ]


def _settle_post(post: SharedPostRow, plan: RoutingPlan, at: datetime) -> DeleteOne | UpdateOne:
    if not plan.unrouted:
        return DeleteOne({"_id": post["_id"]})
    body = plan.encode([one.item for one in plan.unrouted])
    looks = post["looks"] + 1
    left = {
        "body": body,
        "items": len(plan.unrouted),
        "size": len(body),
        "version": post["version"] + 1,
        "looks": looks,
        "reasons": dict(plan.reasons),
    }
    update = Update().unset("due", "trouble")
    if next_look := choose_next_look(plan.reasons, looks, at):
        left["look_again_at"] = next_look
    return UpdateOne({"_id": post["_id"]}, update.set(left).operators)


def _measure(posts: Sequence[SharedPostRow], plans: Sequence[RoutingPlan]) -> None:
    """Update the metrics of a batch. A further look counts only what it has routed."""
    fates: Counter[tuple[str, str]] = Counter()
    for post, plan in zip(posts, plans, strict=True):
        fates[post["provider"], "routed"] += sum(map(len, plan.routed.values()))
        if not post["looks"]:
            for reason, number in plan.reasons.items():
                fates[post["provider"], reason] += number
    metrics.count_shared_items(+fates)
    metrics.observe_settle_times("shared_posts", [post["due"] for post in posts], now())
