"""Replay: stored deliveries counted again, for example after a bug fix.

Correct figures stay, because stored events are known, and each knows its own delivery.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.event import UNMATCHED
from documents.rows.collections import collection
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.tracking.unmatched import LOOK_AGAIN_AFTER
from documents.values.time import now

A_BATCH = 500


def replay(
    organization_id: ObjectId | None = None,
    since: datetime | None = None,
    delivery_id: ObjectId | None = None,
) -> Iterator[int]:
    """Make deliveries due again; yields how many, batch by batch. The workers take it from there.

    Events that no email is known of are looked at again, too.

    Args:
        organization_id: only this organization's.
        since: only those that arrived since then.
        delivery_id: only this one.
    """
    scope: dict[str, Any] = {"organization_id": organization_id} if organization_id else {}
    first = delivery_id or (ObjectId.from_datetime(since) if since else None)
    while True:
        query = {**scope, **({"_id": {"$gte": first}} if first else {})}
        if delivery_id:
            query["_id"] = delivery_id
        found = (
            collection(get_db(), WebhookDeliveryRow)
            .find(query, {"_id": 1})
            .sort("_id", 1)
            .limit(A_BATCH)
        )
        ids = [row["_id"] for row in found]
        if ids:
            _make_due(ids)
            yield len(ids)
        if len(ids) < A_BATCH:
            return
        first = ObjectId((int(str(ids[-1]), 16) + 1).to_bytes(12, "big"))


def _make_due(ids: list[ObjectId]) -> None:
    progress = dict.fromkeys(("trouble", "next_item", "bad_event"), "")
    fresh = {"$set": {"due": now()}, "$unset": progress}
    get_db().deliveries.update_many({"_id": {"$in": ids}}, fresh)
    get_db().events.update_many(
        {"delivery_id": {"$in": ids}, **UNMATCHED}, {"$set": {"due": now() - LOOK_AGAIN_AFTER}}
    )
