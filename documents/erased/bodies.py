"""Digests of posts that an erasure changed, so that Matchback redacts repeated posts the same way.

After an erasure, nothing else in Matchback identifies the person. The digests stay for as long as
providers repeat posts.
"""

import hashlib
from collections.abc import Sequence

from bson import Binary, ObjectId
from mongoengine import BinaryField, DateTimeField, ObjectIdField, get_db

from documents.erased import items as erased_items
from documents.rows.collections import collection
from documents.rows.webhook_delivery import WebhookDeliveryRow
from documents.storage.base import Document
from documents.values.time import now
from matchback.engine import Tx

BODY_DIGEST_BYTES = 16
# Stripe repeats posts for three days, SendGrid for 29 hours.
ERASED_BODY_RETENTION_SECONDS = 4 * 24 * 3600


class ErasedBody(Document):
    """The digest of one original post, as an ID. `delivery_id` names the redacted post."""

    id = BinaryField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    delivery_id = ObjectIdField(required=True)
    at = DateTimeField(required=True)

    meta = {
        "collection": "erased_bodies",
        "auto_create_index": False,
        "indexes": [
            "organization_id",
            {"fields": ["at"], "expireAfterSeconds": ERASED_BODY_RETENTION_SECONDS},
        ],
    }


def store_body_digest(organization_id: ObjectId, delivery_id: ObjectId, body: bytes) -> None:
    """Store the digest of a post before its body changes. Keep the digest of the first delivery."""
    of = {"organization_id": organization_id, "delivery_id": delivery_id, "at": now()}
    where = {"_id": _digest(organization_id, body)}
    get_db().erased_bodies.update_one(where, {"$setOnInsert": of}, upsert=True)


def note_repeated_posts(
    tx: Tx, organization_id: ObjectId, delivery_ids: Sequence[ObjectId]
) -> None:
    """Note the posts that repeat a post that an erasure changed.

    This reads the bodies again only in organizations that erased a person in the last days.
    """
    of = {"organization_id": organization_id}
    if not tx.database.erased_bodies.find_one(of, {"_id": 1}, session=tx.session):
        return
    wanted = {"_id": {"$in": list(delivery_ids)}}
    bodies = collection(tx.database, WebhookDeliveryRow).find(
        wanted, {"body": 1}, session=tx.session
    )
    digests = {row["_id"]: _digest(organization_id, bytes(row["body"])) for row in bodies}
    query = {"_id": {"$in": list(digests.values())}}
    known = {
        bytes(row["_id"]): row["delivery_id"]
        for row in tx.database.erased_bodies.find(query, session=tx.session)
    }
    for delivery_id, digest in digests.items():
        first = known.get(bytes(digest), delivery_id)
        if first != delivery_id:
            erased_items.note_copied_post(tx, organization_id, delivery_id, first)


def _digest(organization_id: ObjectId, body: bytes) -> Binary:
    digest = hashlib.blake2b(organization_id.binary, digest_size=BODY_DIGEST_BYTES)
    digest.update(body)
    return Binary(digest.digest())
