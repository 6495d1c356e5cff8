"""Erased customers of Stripe, so that Matchback redacts later events about them.

An event about a customer has a name and an address, but no gift. Matchback keeps only a digest of
the customer's ID.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from bson import ObjectId
from mongoengine import BinaryField, ObjectIdField, get_db
from pymongo import UpdateOne

from documents.storage.base import Document
from documents.values.stripe_values import read_reference
from matchback.engine import Tx

CUSTOMER_DIGEST_BYTES = 16


class ErasedCustomer(Document):
    """An erased customer of an organization. Its ID is the digest of the customer's ID."""

    id = BinaryField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    user_id = ObjectIdField(required=True)

    meta = {"collection": "erased_customers", "auto_create_index": False, "indexes": ["user_id"]}


def digest_customers(organization_id: ObjectId, event: Any) -> set[bytes]:
    """Return the digests of the customers that a Stripe event names."""
    data = event.get("data") if isinstance(event, dict) else None
    thing = data.get("object") if isinstance(data, dict) else None
    if not isinstance(thing, dict):
        return set()
    named = (
        read_reference(thing)
        if thing.get("object") == "customer"
        else read_reference(thing.get("customer"))
    )
    return {_digest(organization_id, named)} if named else set()


def store_erased_customers(
    organization_id: ObjectId, user_id: ObjectId, customers: Iterable[bytes]
) -> None:
    """Store the digests of erased customers."""
    of = {"organization_id": organization_id, "user_id": user_id}
    updates = [UpdateOne({"_id": id_}, {"$set": of}, upsert=True) for id_ in customers]
    if updates:
        get_db().erased_customers.bulk_write(updates, ordered=False)


def list_erased_customers(organization_id: ObjectId, user_id: ObjectId) -> set[bytes]:
    """Return the digests of the customers of an erased user."""
    of = {"organization_id": organization_id, "user_id": user_id}
    return {bytes(row["_id"]) for row in get_db().erased_customers.find(of, {"_id": 1})}


def is_about_erased_customer(tx: Tx, organization_id: ObjectId, event: Any) -> bool:
    """Return whether a Stripe event is about an erased customer."""
    wanted = list(digest_customers(organization_id, event))
    if not wanted:
        return False
    found = tx.database.erased_customers.find_one({"_id": {"$in": wanted}}, session=tx.session)
    return found is not None


def _digest(organization_id: ObjectId, customer: str) -> bytes:
    told = organization_id.binary + customer.encode()
    return hashlib.blake2b(told, digest_size=CUSTOMER_DIGEST_BYTES).digest()
