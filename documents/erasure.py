"""Erasing a person: name, address and raw events go everywhere, amounts and counts stay.

The request marks the user, who is gone from then on; a worker does the rest, in steps that may be
repeated. Events are replaced by what is needed to know them again, which is a digest, and an
archive counts what they counted. Webhook posts lose the items that tell of the person. Answers
kept for an `Idempotency-Key` cannot be read here: they are sealed, and gone after 48 hours.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import orjson
from bson import ObjectId
from mongoengine import get_db
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents import rematching, retention, sendgrid, unexported
from documents.address import fold, mailbox
from documents.candidates import ERASED as ERASED_DONOR
from documents.clock import now
from documents.engine.contribution import Row
from documents.errors import NotFound
from documents.link_token import tokens
from documents.marks import text
from documents.payment_erasure import erase_payments
from documents.sendgrid import ERASED
from documents.transaction import in_transaction
from documents.unexported import note
from documents.user import User

NOBODY = "(erased)"
KNOWN_BY = ("address", "mailbox", "words", "rematch_mailboxes", "rematch_due")
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
    if found.erasing is not None or found.name == NOBODY:
        return
    gone = {"name": NOBODY, "email": NOBODY, "deleted_at": found.deleted_at or now()}
    wait = {"erasing": fold(found.email), "erase_due": now(), **unexported.mark()}
    where = {"_id": found.id, "organization_id": organization_id, "email": found.email}
    update = {
        "$set": {**gone, **wait},
        "$unset": dict.fromkeys(KNOWN_BY, ""),
        "$inc": {"version": 1},
    }
    if not get_db().users.update_one(where, update).matched_count:
        mark(organization_id, id_)  # their address was changed at this moment


def again(database: Database, session: ClientSession, user_ids: list[ObjectId]) -> None:
    """Something new was reported of erased people: look for it once more."""
    due = {"$set": {"erase_due": now()}}
    database.users.update_many({"_id": {"$in": user_ids}}, due, session=session)


def erase(user_id: ObjectId) -> bool:
    """Take a marked user's traces away. Returns whether it is finished.

    Posts that are not tallied yet are left for the next time, so that their events are counted.
    """
    user = get_db().users.find_one({"_id": user_id, **DUE})
    if user is None:
        return True
    organization_id = user["organization_id"]
    addresses = [name for name in (user.get("erasing"), *user.get("former_mailboxes", ())) if name]
    emails = get_db().emails
    emails.update_many({"user_id": user_id}, {"$set": {"erased": True}})
    email_ids = [row["_id"] for row in emails.find({"user_id": user_id}, {"_id": 1})]
    _erase_gifts(organization_id, user_id, addresses)
    while in_transaction(_erase_events, organization_id, email_ids, addresses):
        pass
    names = [name for id_ in email_ids for name in (str(id_), *tokens(organization_id, id_))]
    names += erase_payments(organization_id, user_id, addresses)
    finished = _erase_posts(organization_id, [*addresses, *names])
    done: Row = {"$unset": {"erasing": "", "erase_due": "", "former_mailboxes": ""}}
    waits: Row = {"$set": {"erase_due": now() + LATER}}
    get_db().users.update_one(
        {"_id": user_id, "erase_due": user["erase_due"]}, done if finished else waits
    )
    return finished


def _erase_gifts(organization_id: ObjectId, user_id: ObjectId, addresses: list[str]) -> None:
    mailboxes = sorted({mailbox(address) for address in addresses})
    theirs = {"donor_mailbox": {"$in": mailboxes}, "donor_address": {"$in": addresses}}
    # Of the first version, until it is migrated: it knew no mailboxes.
    old = {"donor_mailbox": None, "donor_address": {"$in": addresses}}
    whose: list[Row] = [
        {"user_id": user_id},
        *({"organization_id": organization_id, **query} for query in (theirs, old)),
    ]
    gone = {
        "donor_name": NOBODY,
        "donor_email": NOBODY,
        # The same person still, though nobody knows who.
        "donor_address": f"{ERASED_DONOR}{user_id}",
        "donor_mailbox": f"{ERASED_DONOR}{user_id}",
        # What was learned of their emails meanwhile looked for gifts from their address.
        **rematching.again(),
    }
    donations = get_db().donations
    for query in whose:
        for gift in donations.find(query, {"email_ref": 1, "external_id": 1}):
            told = {
                name: NOBODY if name == "email_ref" else f"erased:{gift['_id']}"
                for name in ("email_ref", "external_id")
                if any(address in str(gift.get(name, "")).casefold() for address in addresses)
            }
            donations.update_one({"_id": gift["_id"]}, {"$set": {**gone, **told}})
            note(get_db(), None, {"donations": [gift["_id"]]})


def _erase_events(
    database: Database,
    session: ClientSession,
    organization_id: ObjectId,
    email_ids: list[ObjectId],
    addresses: list[str],
) -> int:
    """Archive and empty some of the person's events. Returns how many there were."""
    events = list(
        database.events.find({"email_id": {"$in": email_ids}}, session=session).limit(A_STEP)
    )
    if addresses:
        unmatched = {"organization_id": organization_id, "unmatched": text(in_=addresses)}
        events += database.events.find(unmatched, session=session).limit(A_STEP)
    retention.archive(database, session, events)
    for event in events:
        left = {name: event[name] for name in KEPT_OF_EVENTS if name in event}
        database.events.replace_one(
            {"_id": event["_id"]}, {**left, "type": "erased"}, session=session
        )
    note(database, session, {"events": [event["_id"] for event in events]})
    return len(events)


def _erase_posts(organization_id: ObjectId, names: list[str]) -> bool:
    """Take the items that tell of the person out of stored posts. Returns whether none waits."""
    tells = _teller(names)
    deliveries = get_db().deliveries
    finished = True
    fields = {"body": 1, "due": 1}
    query = {"organization_id": organization_id}
    for delivery in deliveries.find(query, fields).sort("_id", 1).batch_size(20):
        body = _without(bytes(delivery["body"]), tells)
        if body is None:
            continue
        where = {"_id": delivery["_id"], "due": None}
        if not deliveries.update_one(where, {"$set": {"body": body}}).matched_count:
            finished = False
    return finished


def _teller(names: list[str]) -> Callable[[str], bool]:
    """Whether a text names the person, by an address or by an email's id or token."""
    if not names:
        return lambda text: False
    pattern = re.compile("|".join(re.escape(name.casefold()) for name in names))
    return lambda text: pattern.search(text.casefold()) is not None


def _without(body: bytes, tells: Callable[[str], bool]) -> bytes | None:
    """The body without the items that tell of the person; None when there are none."""
    raw = body.decode("utf-8", "replace")
    if not tells(raw) and "\\u" not in raw:
        return None
    try:
        items = sendgrid.parse(body)
    except ValueError:
        return orjson.dumps([ERASED]) if tells(raw) else None
    kept = [ERASED if tells(_plain(item)) else item for item in items]
    return json.dumps(kept).encode() if kept != items else None


def _plain(item: Any) -> str:
    """All of an item as text, whatever it was escaped as."""
    if isinstance(item, Mapping):
        return "\n".join(_plain(part) for pair in item.items() for part in pair)
    if isinstance(item, list):
        return "\n".join(map(_plain, item))
    return str(item)
