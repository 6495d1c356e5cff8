"""Events about facts that no settlement stores: the end of an import, and incorrect counters."""

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from documents.outgoing.event_delivery import build_delivery_rows
from documents.outgoing.event_types import OutgoingEventType
from documents.outgoing.webhook_endpoint import list_subscribed
from matchback.engine import Tx


def note_fact(
    tx: Tx,
    type_: OutgoingEventType,
    data: Mapping[str, Any],
    *,
    organization_id: ObjectId,
    record_id: ObjectId,
    version: int,
) -> None:
    """Store an event in the transaction that stores its fact."""
    endpoints = list_subscribed(organization_id, tx.database)
    rows = build_delivery_rows(
        endpoints,
        type_,
        data,
        organization_id=organization_id,
        record_id=record_id,
        version=version,
    )
    if rows:
        tx.database.event_deliveries.insert_many(rows, session=tx.session)
