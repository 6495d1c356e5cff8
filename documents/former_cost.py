"""Former costs of mailings, for reports of earlier times.

A mailing keeps its latest former costs itself. Older ones move to a collection of their own, so
that a client that changes the cost often cannot make the mailing's row large.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId
from mongoengine import DateTimeField, IntField, ObjectIdField, StringField, get_db
from pymongo import UpdateOne

from documents.rows.fundraiser import StoredCost
from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META
from matchback.engine import Tx

MAX_KEPT_COSTS = 20
FORMER_COSTS_COLLECTION = "former_costs"


class FormerCost(Document):
    """A former cost that its mailing no longer keeps. The ID names the mailing and the time."""

    id = StringField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    mailing_id = ObjectIdField(required=True)
    until = DateTimeField(required=True)
    amount = IntField()
    currency = StringField()

    meta = {
        "collection": FORMER_COSTS_COLLECTION,
        "auto_create_index": False,
        "indexes": [["mailing_id", "until"]],
        **OWNED_META,
    }


def keep_latest_costs(
    organization_id: ObjectId, mailing_id: ObjectId, costs: Sequence[StoredCost]
) -> list[StoredCost]:
    """Return the former costs that the mailing keeps. Store the older ones.

    The caller saves the mailing afterwards. If that fails, a cost is in both places, which changes
    no report.
    """
    older, kept = costs[:-MAX_KEPT_COSTS], list(costs[-MAX_KEPT_COSTS:])
    if older:
        owners = {"organization_id": organization_id, "mailing_id": mailing_id}
        get_db()[FORMER_COSTS_COLLECTION].bulk_write(
            [_store_once(mailing_id, {**owners, **cost}) for cost in older]
        )
    return kept


def _store_once(mailing_id: ObjectId, row: Mapping[str, Any]) -> UpdateOne:
    """Return the write of a cost. Of two changes in one millisecond, the first cost stays."""
    id_ = f"{mailing_id}:{row['until'].isoformat(timespec='milliseconds')}"
    return UpdateOne({"_id": id_}, {"$setOnInsert": row}, upsert=True)


def find_cost_at(
    tx: Tx, mailing_id: ObjectId, kept: Sequence[StoredCost], at: datetime
) -> StoredCost | None:
    """Return the former cost that was valid at a time; None if the present cost was.

    Args:
        kept: the mailing's own former costs, oldest first, as the transaction reads them.
    """
    if len(kept) >= MAX_KEPT_COSTS and at < kept[0]["until"]:
        later = {"mailing_id": mailing_id, "until": {"$gt": at}}
        moved: StoredCost | None = tx.database[FORMER_COSTS_COLLECTION].find_one(
            later, sort=[("until", 1)], session=tx.session
        )
        if moved is not None:
            return moved
    return next((cost for cost in kept if at < cost["until"]), None)
