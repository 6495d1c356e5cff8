"""Replay: counts stored deliveries again, for example after a bug fix.

Correct counters stay correct, because each stored event identifies its delivery.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.event import UNMATCHED_FILTER
from documents.providers.registry import PROVIDERS
from documents.rows.collections import collection
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.tracking.unmatched import UNMATCHED_RETRY_INTERVAL
from documents.values.time import now

REPLAYED_DELIVERIES_PER_BATCH = 500


def replay_deliveries(
    organization_id: ObjectId | None = None,
    since: datetime | None = None,
    delivery_id: ObjectId | None = None,
) -> Iterator[int]:
    """Make deliveries due again, so that workers count them. Yield the number of each batch.

    Also make their unmatched events due.

    Args:
        organization_id: limit to this organization.
        since: limit to deliveries that arrived at this time or later.
        delivery_id: limit to this delivery.
    """
    scope: dict[str, Any] = {}
    if organization_id:
        # With the providers, MongoDB merges the ranges of an index in the order of the IDs.
        scope = {"organization_id": organization_id, "provider": {"$in": list(PROVIDERS)}}
    first = delivery_id or (ObjectId.from_datetime(since) if since else None)
    while True:
        query = {**scope, **({"_id": {"$gte": first}} if first else {})}
        if delivery_id:
            query["_id"] = delivery_id
        found = (
            collection(get_db(), WebhookDeliveryRow)
            .find(query, {"_id": 1})
            .sort("_id", 1)
            .limit(REPLAYED_DELIVERIES_PER_BATCH)
        )
        ids = [row["_id"] for row in found]
        if ids:
            _make_due(ids)
            yield len(ids)
        if len(ids) < REPLAYED_DELIVERIES_PER_BATCH:
            return
        first = ObjectId((int(str(ids[-1]), 16) + 1).to_bytes(12, "big"))


def _make_due(ids: list[ObjectId]) -> None:
    progress = dict.fromkeys(("trouble", "next_item", "bad_event"), "")
    fresh = {"$set": {"due": now()}, "$unset": progress}
    get_db().deliveries.update_many({"_id": {"$in": ids}}, fresh)
    get_db().events.update_many(
        {"delivery_id": {"$in": ids}, **UNMATCHED_FILTER},
        {"$set": {"due": now() - UNMATCHED_RETRY_INTERVAL}},
    )
