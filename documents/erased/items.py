"""Noted items of stored posts about an erased person, which a worker redacts later.

A post must not change while it is due, so the transaction that finds such an item notes it here.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from bson import ObjectId
from mongoengine import IntField, ListField, ObjectIdField, get_db
from pymongo import UpdateOne

from documents.errors import Unusable
from documents.providers.provider import parse_items
from documents.providers.report import ERASED_ITEM
from documents.rows.collections import collection
from documents.rows.webhook_delivery import ErasedItemsRow, WebhookDeliveryRow
from documents.storage.base import Document
from documents.values.time import now
from matchback.engine import Tx

ERASED_BODY = json.dumps([ERASED_ITEM]).encode()
POSTS_PER_STEP = 500


class ErasedItems(Document):
    """The noted items of one post, or the earlier post that it repeats. The ID is the post's."""

    organization_id = ObjectIdField(required=True)
    items = ListField(IntField())
    copy_of = ObjectIdField()

    meta = {
        "collection": "erased_items",
        "auto_create_index": False,
        "indexes": ["organization_id"],
    }


def note_items(tx: Tx, organization_id: ObjectId, items: Iterable[tuple[ObjectId, int]]) -> None:
    """Note items in the transaction that finds them.

    Args:
        items: pairs of a post's ID and an index in the post.
    """
    of_posts: defaultdict[ObjectId, list[int]] = defaultdict(list)
    for delivery_id, item in items:
        of_posts[delivery_id].append(item)
    if not of_posts:
        return
    updates = [
        UpdateOne(
            {"_id": id_},
            {
                "$setOnInsert": {"organization_id": organization_id},
                "$addToSet": {"items": {"$each": indexes}},
            },
            upsert=True,
        )
        for id_, indexes in of_posts.items()
    ]
    tx.database.erased_items.bulk_write(updates, ordered=False, session=tx.session)


def note_copied_post(
    tx: Tx, organization_id: ObjectId, delivery_id: ObjectId, copy_of: ObjectId
) -> None:
    """Note that a post repeats an earlier post, which an erasure changed."""
    new = {"organization_id": organization_id, "items": []}
    noted = {"$setOnInsert": new, "$set": {"copy_of": copy_of}}
    tx.database.erased_items.update_one(
        {"_id": delivery_id}, noted, upsert=True, session=tx.session
    )


def mark_for_erasure(tx: Tx, user_ids: list[ObjectId]) -> None:
    """Mark erased people due again, because a provider reported new data about them."""
    due = {"$set": {"erase_due": now()}}
    tx.database.users.update_many({"_id": {"$in": user_ids}}, due, session=tx.session)


def list_organizations_with_items() -> list[ObjectId]:
    """Return the organizations that have noted items."""
    return list(get_db().erased_items.distinct("organization_id"))


def empty_noted_items(organization_id: ObjectId) -> int:
    """Redact noted items, except in posts that are due. Return the number of redacted posts."""
    noted = (
        collection(get_db(), ErasedItemsRow)
        .find({"organization_id": organization_id})
        .limit(POSTS_PER_STEP)
    )
    return sum(_empty(row) for row in list(noted))


def has_no_items(organization_id: ObjectId) -> bool:
    """Return whether the organization has no noted items."""
    return get_db().erased_items.find_one({"organization_id": organization_id}) is None


def _empty(row: ErasedItemsRow) -> bool:
    deliveries = get_db().deliveries
    post = deliveries.find_one({"_id": row["_id"]}, {"body": 1, "due": 1})
    if post is not None:
        body = remove_items(_known_body(row, bytes(post["body"])), row.get("items", ()))
        settled = {"_id": row["_id"], "due": None}
        if not deliveries.update_one(settled, {"$set": {"body": body}}).matched_count:
            return False
    # Another transaction may have noted more items in the meantime.
    as_read = {name: row.get(name) for name in ("_id", "items", "copy_of")}
    get_db().erased_items.delete_one(as_read)
    return True


def _known_body(row: ErasedItemsRow, body: bytes) -> bytes:
    """Return the redacted body of the post that this post repeats, or its own body."""
    if row.get("copy_of") is None:
        return body
    first = collection(get_db(), WebhookDeliveryRow).find_one({"_id": row["copy_of"]}, {"body": 1})
    return bytes(first["body"]) if first else ERASED_BODY


def remove_items(body: bytes, indexes: Iterable[int]) -> bytes:
    """Return a post's body with these items redacted, or fully redacted if it cannot be read."""
    gone = set(indexes)
    if not gone:
        return body
    try:
        items = parse_items(body)
    except Unusable:
        return ERASED_BODY
    kept = [ERASED_ITEM if index in gone else one for index, one in enumerate(items)]
    return encode_items(kept)


def encode_items(items: list[Any]) -> bytes:
    """Return items as the body of a post. Redact items with too many nested levels."""
    return f"[{', '.join(map(_encode, items))}]".encode()


def _encode(item: Any) -> str:
    try:
        return json.dumps(item)  # not orjson, which rejects lone surrogates
    except RecursionError:
        return json.dumps(ERASED_ITEM)
