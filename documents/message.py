"""A message: what SendGrid knows an email by. Events without an `email_id` find their email by it.

It is a collection of its own for speed. When a transaction writes an indexed field of an email,
MongoDB rebuilds all index keys of the email. That took half of the time to count a first event.
"""

import hashlib
from collections.abc import Iterable
from functools import lru_cache

from bson import ObjectId
from mongoengine import ObjectIdField

from documents.rows.collections import collection
from documents.rows.email import MessageRow
from documents.rows.event import EventRow
from documents.storage.base import Document
from documents.values.address import canonical, fold
from matchback.engine import Tx

KEY_BYTES = 12


class Message(Document):
    """One message to one address. Its id is a digest of both, within the organization."""

    id = ObjectIdField(primary_key=True)
    email_id = ObjectIdField(required=True)

    meta = {"collection": "messages", "auto_create_index": False}


def message_key(event: EventRow) -> ObjectId | None:
    """Return what SendGrid knows an event's email by, or None without a message.

    It includes the address, because one request to SendGrid may be to many people. It is a digest,
    because the address has no business there.
    """
    message = event.get("sg_message_id")
    if not message:
        return None
    address = canonical(event.get("address", ""))
    return _message_key(event["organization_id"], message, address)


def message_keys(event: EventRow) -> list[ObjectId]:
    """Return the keys under which the event's message may be stored, today's first."""
    key, address = message_key(event), event.get("address", "")
    if key is None:
        return []
    if (earlier := fold(address)) == canonical(address):
        return [key]
    return [key, _message_key(event["organization_id"], event["sg_message_id"], earlier)]


@lru_cache(maxsize=4096)  # an event's is asked for several times, and a message has many events
def _message_key(organization_id: ObjectId, message: str, address: str) -> ObjectId:
    known = f"{message}\n{address}".encode()
    digest = hashlib.blake2b(organization_id.binary + known, digest_size=KEY_BYTES).digest()
    return ObjectId(digest)


def known(tx: Tx, keys: Iterable[ObjectId]) -> dict[ObjectId, ObjectId]:
    """The emails of these messages, as far as they are known."""
    wanted = list(keys)
    if not wanted:
        return {}
    found = collection(tx.database, MessageRow).find({"_id": {"$in": wanted}}, session=tx.session)
    return {row["_id"]: row["email_id"] for row in found.batch_size(len(wanted) + 1)}


def learn(tx: Tx, events: Iterable[EventRow]) -> dict[ObjectId, EventRow]:
    """Keep what events that are tied make known of their messages.

    Returns the events by the messages that were not known before. What is known stays so: of two
    emails that claim one message, it is the first one's.
    """
    claimed: dict[ObjectId, EventRow] = {}
    for event in events:
        if key := message_key(event):
            claimed.setdefault(key, event)
    for key in known(tx, claimed):
        del claimed[key]
    if claimed:
        rows = [{"_id": key, "email_id": event["email_id"]} for key, event in claimed.items()]
        tx.database.messages.insert_many(rows, ordered=False, session=tx.session)
    return claimed
