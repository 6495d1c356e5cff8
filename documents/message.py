"""Message: the provider's ID of an email. Events without an `email_id` find their email by it.

Messages have their own collection for speed. When a transaction writes an indexed field of an
email, MongoDB rebuilds all index keys of the email. See docs/decisions/34-hot-paths.md.
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
from documents.values.address import fold_text, to_canonical
from matchback.engine import Tx

MESSAGE_KEY_BYTES = 12


class Message(Document):
    """One message to one address. Its ID is a digest of both, within the organization."""

    id = ObjectIdField(primary_key=True)
    email_id = ObjectIdField(required=True)

    meta = {"collection": "messages", "auto_create_index": False, "indexes": ["email_id"]}


def make_message_key(event: EventRow) -> ObjectId | None:
    """Return the key of an event's message, or None for an event without a message ID.

    The key includes the address, because one message may have many recipients. It is a
    digest, so that no address is stored.
    """
    message = read_message_id(event)
    if not message:
        return None
    address = to_canonical(event.get("address", ""))
    return _message_key(event["organization_id"], message, address)


def list_message_keys(event: EventRow) -> list[ObjectId]:
    """Return the keys that may store the event's message. The key of this version comes first."""
    key, message = make_message_key(event), read_message_id(event)
    address = event.get("address", "")
    if key is None or message is None:
        return []
    if (earlier := fold_text(address)) == to_canonical(address):
        return [key]
    return [key, _message_key(event["organization_id"], message, earlier)]


def read_message_id(event: EventRow) -> str | None:
    """Return the provider's ID of the event's message. Earlier versions stored it as SendGrid's."""
    return event.get("message_id") or event.get("sg_message_id")


@lru_cache(maxsize=4096)  # several callers need an event's key, and a message has many events
def _message_key(organization_id: ObjectId, message: str, address: str) -> ObjectId:
    known = f"{message}\n{address}".encode()
    digest = hashlib.blake2b(organization_id.binary + known, digest_size=MESSAGE_KEY_BYTES).digest()
    return ObjectId(digest)


def find_known_emails(tx: Tx, keys: Iterable[ObjectId]) -> dict[ObjectId, ObjectId]:
    """Return the email IDs of the messages that are known."""
    wanted = list(keys)
    if not wanted:
        return {}
    found = collection(tx.database, MessageRow).find({"_id": {"$in": wanted}}, session=tx.session)
    return {row["_id"]: row["email_id"] for row in found.batch_size(len(wanted) + 1)}


def store_new_messages(tx: Tx, events: Iterable[EventRow]) -> dict[ObjectId, EventRow]:
    """Store the messages of tied events.

    Return the events by new message. If two emails claim one message, the first keeps it.
    """
    claimed: dict[ObjectId, EventRow] = {}
    for event in events:
        if key := make_message_key(event):
            claimed.setdefault(key, event)
    for key in find_known_emails(tx, claimed):
        del claimed[key]
    if claimed:
        rows = [{"_id": key, "email_id": event["email_id"]} for key, event in claimed.items()]
        tx.database.messages.insert_many(rows, ordered=False, session=tx.session)
    return claimed
