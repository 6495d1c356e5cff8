"""Erasure of a person's name, address and raw events everywhere. Amounts and counts stay.

The request marks the user, which hides the person at once. A worker does the rest in repeatable
steps, so the sweep can finish the work of a killed process. Erasure cannot read stored responses
for an `Idempotency-Key`, because they are sealed. They expire after 48 hours.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.concurrency.batches import Batches
from documents.erased import items as erased_items
from documents.erased.links import erase_links
from documents.erased.person import ERASED_NAME, Person, identify_person, list_stored_forms
from documents.errors import NotFound
from documents.index_tables.user_index import delete_rows
from documents.privacy import retention
from documents.privacy.gifts import erase_gifts, erase_mentions
from documents.privacy.payments import erase_payments
from documents.privacy.posts import erase_posts
from documents.privacy.shared_posts import erase_shared_posts
from documents.rows.collections import collection
from documents.rows.event import EventRow
from documents.rows.user import UserRow
from documents.storage import export_outbox
from documents.storage.export_outbox import note_writes
from documents.storage.marks import build_text_condition
from documents.storage.transaction import in_transaction
from documents.user import User
from documents.values.address import to_canonical, to_mailbox
from documents.values.time import now
from matchback.engine import Tx

FIRST_ERASED_FIELDS = (
    *("address", "mailbox", "words", "rematch_mailboxes", "rematch_due"),
    "attributes",
)
LAST_ERASED_FIELDS = ("erasing", "erasing_names", "erase_due", "former_mailboxes")
ERASED_EVENTS_PER_STEP = 500
ERASURE_RETRY_INTERVAL = timedelta(seconds=5)
ERASURE_DUE_FILTER = {"erase_due": {"$type": "date"}}
# The remaining fields of an erased event, which identify it and its delivery.
KEPT_EVENT_FIELDS = ("organization_id", "delivery_id", "item", "at")


def request_erasure(organization_id: ObjectId, id_: ObjectId | str) -> None:
    """Erase a user, deleted or not, and schedule the erasure of all data about them.

    Repeating the request changes nothing.

    Raises:
        NotFound: the organization never had such a user.
    """
    found = ObjectId.is_valid(id_) and User.objects(organization_id=organization_id, id=id_).first()
    if not found:
        raise NotFound
    if found.erasing is not None or found.name == ERASED_NAME:
        return
    gone = {"name": ERASED_NAME, "email": ERASED_NAME, "deleted_at": found.deleted_at or now()}
    wait = {
        "erasing": to_canonical(found.email),
        "erasing_names": [found.name],
        "erase_due": now(),
        **export_outbox.build_export_mark(),
    }
    where = {
        "_id": found.id,
        "organization_id": organization_id,
        "email": found.email,
        "name": found.name,
    }
    update = {
        "$set": {**gone, **wait},
        "$unset": dict.fromkeys(FIRST_ERASED_FIELDS, ""),
        "$inc": {"version": 1},
    }
    if not get_db().users.update_one(where, update).matched_count:
        request_erasure(organization_id, id_)  # another request changed the name or address


def erase_user(user_id: ObjectId) -> bool:
    """Erase the traces of a marked user. Return whether the erasure is complete.

    Leave unprocessed posts to the next run, because Matchback must count their events first.
    """
    user = collection(get_db(), UserRow).find_one({"_id": user_id, **ERASURE_DUE_FILTER})
    if user is None:
        return True
    person = identify_person(user)
    delete_rows([user_id])
    _erase_emails(user_id)
    finished = True
    if user.get("erasing"):
        erase_links(person)
        payment_ids = erase_payments(person)
        erase_gifts(person)
        erase_mentions(person)
        _erase_all_events(person)
        finished = erase_posts(person, payment_ids)
        finished = erase_shared_posts(person) and finished
        _forget_former(person)
    else:
        # An earlier run erased the address. Ingest has noted all data that arrived since then.
        erase_gifts(person)
        _erase_all_events(person)
    while erased_items.empty_noted_items(person.organization_id):
        pass
    finished = erased_items.has_no_items(person.organization_id) and finished
    done: dict[str, Any] = {"$unset": dict.fromkeys(LAST_ERASED_FIELDS, "")}
    waits: dict[str, Any] = {"$set": {"erase_due": now() + ERASURE_RETRY_INTERVAL}}
    get_db().users.update_one(
        {"_id": user_id, "erase_due": user["erase_due"]}, done if finished else waits
    )
    return finished


def _erase_emails(user_id: ObjectId) -> None:
    """Mark the user's emails as erased, and remove their attributes.

    The emails stay in their segments, so that the segments' counts stay.
    """
    query = {"user_id": user_id}
    get_db().emails.update_many(query, {"$set": {"erased": True}})
    in_transaction(_erase_attributes, query)


def _erase_attributes(tx: Tx, query: Mapping[str, Any]) -> None:
    """Remove the attributes, and note the emails for the warehouse in the same transaction."""
    found = {**query, "attributes": {"$exists": True}}
    emails = tx.database.emails.find(found, {"_id": 1}, session=tx.session)
    if ids := [email["_id"] for email in emails]:
        one = {"_id": {"$in": ids}}
        tx.database.emails.update_many(one, {"$unset": {"attributes": ""}}, session=tx.session)
        note_writes(tx, {"emails": ids})


def _erase_all_events(person: Person) -> None:
    batches = Batches(("events of erased user", person.user_id), ERASED_EVENTS_PER_STEP)
    while batches.take(lambda: in_transaction(_erase_events, person, batches.limit)):
        pass


def _erase_events(tx: Tx, person: Person, limit: int) -> int:
    """Archive and redact up to `limit` of the person's events. Return the number of events."""
    of_emails = {"email_id": {"$in": list(person.email_ids)}}
    events = list(
        collection(tx.database, EventRow).find(of_emails, session=tx.session).limit(limit)
    )
    for query in _unmatched(person):
        found = collection(tx.database, EventRow).find(query, session=tx.session).limit(limit)
        events += [one for one in found if person.traces.belongs_to_person(one.get("address", ""))]
    events = list({event["_id"]: event for event in events}.values())
    retention.archive_events(tx, events)
    # An item can name the person by its message only, so no search of the posts finds it.
    items = [(event["delivery_id"], event["item"]) for event in events if "item" in event]
    erased_items.note_items(tx, person.organization_id, items)
    for event in events:
        known: Mapping[str, Any] = event
        left = {name: known[name] for name in KEPT_EVENT_FIELDS if name in known}
        tx.database.events.replace_one(
            {"_id": event["_id"]}, {**left, "type": "erased"}, session=tx.session
        )
    note_writes(tx, {"events": [event["_id"] for event in events]})
    return len(events)


def _unmatched(person: Person) -> Iterator[dict[str, Any]]:
    """Yield queries for events without an email that name an address of the person."""
    others = sorted(person.traces.others)
    if person.addresses:
        addresses = [one for one in list_stored_forms(person.addresses) if one not in others]
        yield {
            "organization_id": person.organization_id,
            "unmatched": build_text_condition(in_=addresses),
        }
    for address in sorted(person.traces.mailboxes):
        local, _, domain = address.rpartition("@")
        tagged: dict[str, Any] = {
            "gte": f"{local}+",
            "lt": f"{local},",  # the character after the plus sign
            "regex": f"@{re.escape(domain)}$",
            "nin": others,
        }
        yield {
            "organization_id": person.organization_id,
            "unmatched": build_text_condition(**tagged),
        }


def _forget_former(person: Person) -> None:
    """Remove the person's addresses from the former addresses of other users."""
    forms = sorted({*list_stored_forms(person.addresses), *map(to_mailbox, person.addresses)})
    for name in ("former_mailboxes", "rematch_mailboxes"):
        query = {"organization_id": person.organization_id, name: build_text_condition(in_=forms)}
        get_db().users.update_many(query, {"$pull": {name: {"$in": forms}}})
