"""Migrations that add facts to payments, because earlier versions did not store them."""

import json
from collections.abc import Mapping
from typing import Any

from pymongo import UpdateOne

from documents.payments.named_by import named_by
from documents.rows.payment import PaymentRow
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.values.time import now
from matchback.engine import Tx

# The current form also keeps the released amount of a charge, the currency of a refund and the plan
# of an invoice.
REREAD_OBJECTS = ("charge", "refund", "dispute", "invoice", "checkout.session")


def reread_payment_webhooks(tx: Tx, rows: list[WebhookDeliveryRow]) -> None:
    """Make webhooks due if this version stores their facts differently.

    Workers then read the webhooks and replace each fact with its current form. Skip webhooks that
    are already due or failed.
    """
    ids = [
        row["_id"]
        for row in rows
        if not row.get("due") and not row.get("trouble") and _has_other_form(bytes(row["body"]))
    ]
    if ids:
        again = {"$set": {"due": now()}}
        tx.database.deliveries.update_many({"_id": {"$in": ids}}, again, session=tx.session)


def _has_other_form(body: bytes) -> bool:
    try:
        event: Any = json.loads(body)
    except (ValueError, RecursionError):
        return False
    data = event.get("data") if isinstance(event, Mapping) else None
    thing = data.get("object") if isinstance(data, Mapping) else None
    if not isinstance(thing, Mapping) or thing.get("object") not in REREAD_OBJECTS:
        return False
    # A fully captured charge has no released amount.
    is_whole = thing.get("amount") == thing.get("amount_captured")
    return thing["object"] != "charge" or not is_whole


def name_payments(tx: Tx, rows: list[PaymentRow]) -> None:
    """Store the mailboxes that each payment names, so that an erasure finds it by an index.

    An earlier version that still runs can change a payment's texts without updating the mailboxes.
    """
    operations = [
        UpdateOne({"_id": row["_id"]}, {"$set": {"named_by": names}})
        for row in rows
        if (names := named_by(row)) != row.get("named_by")
    ]
    if operations:
        tx.database.payments.bulk_write(operations, ordered=False, session=tx.session)
