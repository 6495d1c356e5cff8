"""Changes to stored payment webhooks and payments, for what earlier versions did not keep."""

import json
from collections.abc import Mapping
from typing import Any

from pymongo import UpdateOne

from documents.payments.named_by import named_by
from documents.rows.payment import PaymentRow
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.values.time import now
from matchback.engine import Tx

# A charge says what was released, a refund its currency, an invoice its plan.
READ_AGAIN = ("charge", "refund", "dispute", "invoice", "checkout.session")


def read_again(tx: Tx, rows: list[WebhookDeliveryRow]) -> None:
    """Make webhooks due whose facts have another form since. What is due or failed is left alone.

    The workers read them, and a fact in today's form replaces the same one in an earlier form.
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
    if not isinstance(thing, Mapping) or thing.get("object") not in READ_AGAIN:
        return False
    # Of a charge that was captured as a whole, nothing was released.
    is_whole = thing.get("amount") == thing.get("amount_captured")
    return thing["object"] != "charge" or not is_whole


def name_payments(tx: Tx, rows: list[PaymentRow]) -> None:
    """Note the mailboxes that each payment names, so that an erasure finds it by an index.

    An earlier version that runs beside this one changes texts, but not what is noted of them.
    """
    operations = [
        UpdateOne({"_id": row["_id"]}, {"$set": {"named_by": names}})
        for row in rows
        if (names := named_by(row)) != row.get("named_by")
    ]
    if operations:
        tx.database.payments.bulk_write(operations, ordered=False, session=tx.session)
