"""Writes of routing: deliveries of organizations, and what is left of the shared posts."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import DeleteOne, UpdateOne

from config.observability import metrics
from documents.providers.registry import EMAIL_PROVIDERS
from documents.rows.shared_post import SharedPostRow
from documents.shared_accounts.plan import RoutingPlan
from documents.shared_accounts.rules import (
    ROUTED,
    UNROUTED_REASONS,
    choose_next_look,
    make_delivery_id,
)
from documents.storage.record import build_record_row
from documents.values.time import now
from documents.webhook_delivery import WebhookDelivery
from matchback.engine import Tx, Update

# Initialize the series, because Prometheus cannot compute an increase from an absent one.
for _provider in EMAIL_PROVIDERS:
    for _fate in (ROUTED, *UNROUTED_REASONS):
        metrics.SHARED_ITEMS.labels(_provider, _fate)


def write_routes(
    tx: Tx, posts: Sequence[SharedPostRow], plans: Sequence[RoutingPlan]
) -> list[ObjectId]:
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


def measure_routes(posts: Sequence[SharedPostRow], plans: Sequence[RoutingPlan]) -> None:
    """Update the metrics of a batch. A further look counts only what it has routed."""
    fates: Counter[tuple[str, str]] = Counter()
    for post, plan in zip(posts, plans, strict=True):
        fates[post["provider"], ROUTED] += sum(map(len, plan.routed.values()))
        if not post["looks"]:
            for reason, number in plan.reasons.items():
                fates[post["provider"], reason] += number
    metrics.count_shared_items(+fates)
    metrics.observe_settle_times("shared_posts", [post["due"] for post in posts], now())
