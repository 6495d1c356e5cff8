"""Shared post: one POST from a shared account, stored before Matchback acknowledges it.

It belongs to no organization, and no organization's request reads it. Routing moves each item into
a webhook delivery of the item's organization, and keeps the others here; see routing.py.
"""

from typing import Any

from bson import ObjectId
from mongoengine import (
    BinaryField,
    BooleanField,
    DateTimeField,
    DictField,
    IntField,
    StringField,
    signals,
)

from documents.rows.shared_post import SharedPostRow
from documents.storage.base import Document
from documents.storage.fast_insert import StoredRow
from documents.storage.marks import due_index, failed_index
from documents.values.time import now
from documents.webhook_delivery import unwrap_body

LOOK_AGAIN_FILTER = {"look_again_at": {"$type": "date"}}
UNROUTED_FILTER: dict[str, Any] = {"reasons": {"$type": "object"}}


class SharedPost(Document):
    """The JSON of an authentic POST; after routing, its unrouted items.

    Attributes:
        size: length of the body in bytes.
        tokens_only: true if only link tokens name emails, and IDs do not.
        version: number of changes of the body, which makes the IDs of deliveries unique.
        looks: number of times that routing has read the post.
        reasons: number of unrouted items by reason, after routing.
        look_again_at: time at which the post is due again, because an email may be recorded late.
    """

    provider = StringField(required=True)
    body = BinaryField(required=True)
    items = IntField(required=True)
    size = IntField(required=True)
    tokens_only = BooleanField()
    version = IntField(required=True, default=0)
    looks = IntField(required=True, default=0)
    due = DateTimeField()
    trouble = DictField(default=None)
    reasons = DictField(default=None)
    look_again_at = DateTimeField()

    meta = {
        "collection": "shared_posts",
        "auto_create_index": False,
        "indexes": [
            due_index("provider"),
            failed_index(of_organizations=False),
            {"fields": ["look_again_at"], "partialFilterExpression": LOOK_AGAIN_FILTER},
        ],
    }

    @classmethod
    def receive(cls, provider: str, body: bytes, *, tokens_only: bool = False) -> int:
        """Store a POST with any body. Return the number of events that it reports."""
        body, items = unwrap_body(provider, body)
        row: SharedPostRow = {
            "_id": ObjectId(),
            "provider": provider,
            "body": body,
            "items": items,
            "size": len(body),
            "version": 0,
            "looks": 0,
            "due": now(),
        }
        if tokens_only:
            row["tokens_only"] = True
        cls._get_collection().insert_one(row)
        signals.post_save.send(cls, document=StoredRow(row["_id"]), created=True)
        return items
