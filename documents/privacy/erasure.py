"""Erasure: a person's name, address and raw events go everywhere, while amounts and counts stay.

The request marks the user, which hides the person at once. A worker does the rest in steps that can
repeat, so the sweep continues what a killed process left. Erasure cannot read the answers kept for
an `Idempotency-Key`, because they are sealed. They expire after 48 hours.
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
from documents.erased.person import ERASED_NAME, Person, person_of, stored_forms
from documents.errors import NotFound
from documents.privacy import retention
from documents.privacy.gifts import erase_gifts, erase_mentions
from documents.privacy.payments import erase_payments
from documents.privacy.posts import erase_posts
from documents.rows.collections import collection
from documents.rows.event import EventRow
from documents.rows.user import UserRow
from documents.storage import export_outbox
from documents.storage.export_outbox import note
from documents.storage.marks import text
from documents.storage.transaction import in_transaction
from documents.user import User
from documents.values.address import canonical, mailbox
from documents.values.time import now
from matchback.engine import Tx

KNOWN_BY = ("address", "mailbox", "words", "rematch_mailboxes", "rematch_due")
FORGOTTEN_LAST = ("erasing", "erasing_names", "erase_due", "former_mailboxes")
A_STEP = 500
LATER = timedelta(seconds=5)
DUE = {"erase_due": {"$type": "date"}}
# What is left of an event: how it is known again, and where it came from.
KEPT_OF_EVENTS = ("organization_id", "delivery_id", "item", "at")


def mark(organization_id: ObjectId, id_: ObjectId | str) -> None:
    """Erase a user, deleted or not, and soon all that tells of them. Again is no error.

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
        "erasing": canonical(found.email),
        "erasing_names": [found.name],
        "erase_due": now(),
        **export_outbox.mark(),
    }
    where = {
        "_id": found.id,
        "organization_id": organization_id,
        "email": found.email,
        "name": found.name,
    }
    update = {
        "$set": {**gone, **wait},
        "$unset": dict.fromkeys(KNOWN_BY, ""),
        "$inc": {"version": 1},
    }
    if not get_db().users.update_one(where, update).matched_count:
        mark(organization_id, id_)  # a request changed the name or address at this moment


def erase(user_id: ObjectId) -> bool:
    """Take a marked user's traces away. Returns whether that is finished.

    Posts that are not tallied yet are left for the next time, so that their events are counted.
    """
    user = collection(get_db(), UserRow).find_one({"_id": user_id, **DUE})
    if user is None:
        return True
    person = person_of(user)
    get_db().emails.update_many({"user_id": user_id}, {"$set": {"erased": True}})
    finished = True
    if user.get("erasing"):
        erase_links(person)
        payment_ids = erase_payments(person)
        erase_gifts(person)
        erase_mentions(person)
        _erase_all_events(person)
        finished = erase_posts(person, payment_ids)
        _forget_former(person)
    else:
        # The address is forgotten. What arrived since then was noted where it arrived.
        erase_gifts(person)
        _erase_all_events(person)
    erased_items.empty(person.organization_id)
    finished = erased_items.is_none(person.organization_id) and finished
    done: dict[str, Any] = {"$unset": dict.fromkeys(FORGOTTEN_LAST, "")}
    waits: dict[str, Any] = {"$set": {"erase_due": now() + LATER}}
    get_db().users.update_one(
        {"_id": user_id, "erase_due": user["erase_due"]}, done if finished else waits
    )
    return finished


def _erase_all_events(person: Person) -> None:
    batches = Batches(("events of erased user", person.user_id), A_STEP)
    while batches.take(lambda: in_transaction(_erase_events, person, batches.limit)):
        pass


def _erase_events(tx: Tx, person: Person, limit: int) -> int:
    """Archive and empty some of the person's events. Returns how many there were."""
    of_emails = {"email_id": {"$in": list(person.email_ids)}}
    events = list(
        collection(tx.database, EventRow).find(of_emails, session=tx.session).limit(limit)
    )
    for query in _unmatched(person):
        found = collection(tx.database, EventRow).find(query, session=tx.session).limit(limit)
        events += [one for one in found if person.traces.is_theirs(one.get("address", ""))]
    events = list({event["_id"]: event for event in events}.values())
    retention.archive(tx, events)
    for event in events:
        known: Mapping[str, Any] = event
        left = {name: known[name] for name in KEPT_OF_EVENTS if name in known}
        tx.database.events.replace_one(
            {"_id": event["_id"]}, {**left, "type": "erased"}, session=tx.session
        )
    note(tx, {"events": [event["_id"] for event in events]})
    return len(events)


def _unmatched(person: Person) -> Iterator[dict[str, Any]]:
    """Yield queries for events that name an address of the person, and no email."""
    others = sorted(person.traces.others)
    if person.addresses:
        addresses = [one for one in stored_forms(person.addresses) if one not in others]
        yield {"organization_id": person.organization_id, "unmatched": text(in_=addresses)}
    for address in sorted(person.traces.mailboxes):
        local, _, domain = address.rpartition("@")
        tagged: dict[str, Any] = {
            "gte": f"{local}+",
            "lt": f"{local},",  # the character after the plus sign
            "regex": f"@{re.escape(domain)}$",
            "nin": others,
        }
        yield {"organization_id": person.organization_id, "unmatched": text(**tagged)}


def _forget_former(person: Person) -> None:
    """Take the addresses from users who had them before this person did."""
    forms = sorted({*stored_forms(person.addresses), *map(mailbox, person.addresses)})
    for name in ("former_mailboxes", "rematch_mailboxes"):
        query = {"organization_id": person.organization_id, name: text(in_=forms)}
        get_db().users.update_many(query, {"$pull": {name: {"$in": forms}}})
