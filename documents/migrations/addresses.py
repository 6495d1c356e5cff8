"""The migration of addresses: people, gifts and events get the key that all spellings share.

If another person has the key already, the person keeps the old key and is noted as a duplicate. A
record that has the current key keeps it. Of records that all have earlier keys, the oldest gets it.
"""

from collections import defaultdict
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from documents.matching import rematch
from documents.matching.candidates import is_erased
from documents.message import learn
from documents.migrations.counting import count, name_donors
from documents.people.duplicate import note_duplicate
from documents.people.search_words import words_of
from documents.rows.donation import DonationRow
from documents.rows.event import EventRow
from documents.storage.marks import text
from documents.tracking.unmatched import LOOK_AGAIN_AFTER
from documents.values.address import canonical, fold, mailbox
from documents.values.time import now
from matchback.engine import Tx, Update

Key = tuple[Any, str]  # the organization, within which a user's address is unique, and the address


def respell_users(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Find users by the canonical address, and let gifts and events from there look again."""
    live = [row for row in rows if "address" in row]
    moved, updates = _rekey(tx, "users", live)
    for row in [*live, *(row for row in moved if row not in live)]:
        changed = {name: value for name, value in _found_by(row).items() if row.get(name) != value}
        updates[row["_id"]].set(changed)
    for row in moved:
        updates[row["_id"]].set(_marked(row))
    _write(tx, "users", updates, moved)
    _look_again(tx, moved)


def respell_staff(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Find staff by the canonical address, which is one person's in the whole service."""
    live = [row for row in rows if "address" in row]
    moved, updates = _rekey(tx, "staff", live)
    _write(tx, "staff", updates, moved)


def respell_gifts(tx: Tx, rows: list[DonationRow]) -> None:
    """Know donors by the canonical address, count them so, and let their gifts look again."""
    gifts = [gift for gift in rows if not _donor(gift).items() <= gift.items()]
    if not gifts:
        return
    _keep_former(tx, gifts)
    for gift in gifts:
        known: Any = _donor(gift)
        gift.update(known)
    operations = [UpdateOne({"_id": gift["_id"]}, {"$set": _donor(gift)}) for gift in gifts]
    tx.database.donations.bulk_write(operations, ordered=False, session=tx.session)
    name_donors(tx, gifts)
    count(tx, "donations", gifts)
    rematch.mark(tx, [gift["_id"] for gift in gifts if gift.get("match")])


def respell_events(tx: Tx, rows: list[EventRow]) -> None:
    """Know messages by the canonical address, and let unmatched events look again."""
    odd = [row for row in rows if fold(row.get("address", "")) != canonical(row.get("address", ""))]
    due = {"due": now() - LOOK_AGAIN_AFTER}
    for row in odd:
        if "unmatched" in row and row["unmatched"] != canonical(row["address"]):
            known = {"unmatched": canonical(row["address"]), **due}
            tx.database.events.update_one({"_id": row["_id"]}, {"$set": known}, session=tx.session)
    tied = [row for row in odd if "email_id" in row and row["type"] != "erased"]
    learned = learn(tx, sorted(tied, key=lambda row: row["at"]))
    for row in learned.values():
        _events_look_again(tx, row["organization_id"], {canonical(row["address"])})


def _rekey(
    tx: Tx, collection: str, rows: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], defaultdict[ObjectId, Update]]:
    """Give people the keys that their addresses have now, as far as these are free.

    Return the rows that get another key, which they already have, and the updates to write by ID.
    """
    stale = {row["_id"]: row for row in rows if row["address"] != canonical(row["email"])}
    holders = _holders(tx, collection, stale)
    moved: list[dict[str, Any]] = []
    updates: defaultdict[ObjectId, Update] = defaultdict(Update)
    for id_, row in sorted(stale.items()):
        key = _key(collection, row)
        holder = holders.setdefault(key, id_)
        if holder == id_:
            moved.append(row)
            updates[id_].set({"address": key[1]})
            row["address"] = key[1]
            continue
        if canonical(row["address"]) != key[1]:  # an earlier key that another mailbox has now
            row["address"] = f"{key[1]} {id_}"
            updates[id_].set({"address": row["address"]})
        note_duplicate(tx, collection, row, holder)
    # All at once, so that no one's new key meets another's old one.
    gone = {"_id": {"$in": list(updates)}}
    if updates:
        tx.database[collection].update_many(gone, {"$unset": {"address": ""}}, session=tx.session)
    return moved, updates


def _holders(tx: Tx, collection: str, stale: dict[ObjectId, dict[str, Any]]) -> dict[Key, ObjectId]:
    """Return who has the keys that these rows get, and add to them who must give such a key up."""
    holders: dict[Key, ObjectId] = {}
    asked: set[str] = set()
    while wanted := {canonical(row["email"]) for row in stale.values()} - asked:
        asked |= wanted
        query = {"address": text(in_=sorted(wanted))}
        for row in tx.database[collection].find(query, session=tx.session):
            if row["address"] == canonical(row["email"]):
                holders[_key(collection, row)] = row["_id"]
            else:
                stale.setdefault(row["_id"], row)
    return holders


def _key(collection: str, row: dict[str, Any]) -> Key:
    return row["organization_id"] if collection == "users" else None, canonical(row["email"])


def _found_by(user: dict[str, Any]) -> dict[str, Any]:
    """Return what a user is found by besides the address."""
    found: dict[str, Any] = {
        "mailbox": mailbox(user["email"]),
        "words": words_of(user["name"], user["email"]),
    }
    if user.get("former_mailboxes"):
        former = {mailbox(name) for name in user["former_mailboxes"]} - {found["mailbox"]}
        found["former_mailboxes"] = sorted(former)
    return found


def _marked(user: dict[str, Any]) -> dict[str, Any]:
    """Return the mark that gifts from the user's mailboxes, in both forms, look again."""
    earlier = {*user.get("rematch_mailboxes", ()), user.get("mailbox"), mailbox(user["email"])}
    return {"rematch_mailboxes": sorted(filter(None, earlier)), "rematch_due": now()}


def _write(
    tx: Tx, collection: str, updates: defaultdict[ObjectId, Update], moved: list[dict[str, Any]]
) -> None:
    """Write the changes. A request that read the record before finds it changed."""
    for row in moved:
        updates[row["_id"]].increment({"version": 1})
    operations = [
        UpdateOne({"_id": id_}, update.operators) for id_, update in updates.items() if update
    ]
    if operations:
        tx.database[collection].bulk_write(operations, ordered=False, session=tx.session)


def _look_again(tx: Tx, users: list[dict[str, Any]]) -> None:
    """Let unmatched events to users who got another key look again."""
    for organization_id in {user["organization_id"] for user in users}:
        theirs = {user["address"] for user in users if user["organization_id"] == organization_id}
        _events_look_again(tx, organization_id, theirs)


def _events_look_again(tx: Tx, organization_id: ObjectId, addresses: set[str]) -> None:
    query = {"organization_id": organization_id, "unmatched": text(in_=sorted(addresses))}
    due = {"$set": {"due": now() - LOOK_AGAIN_AFTER}}
    tx.database.events.update_many(query, due, session=tx.session)


def _donor(gift: DonationRow) -> dict[str, str]:
    """Return what a gift's donor is known by; nothing of one who is unknown or erased."""
    email = gift.get("donor_email")
    if not email or is_erased(gift.get("donor_mailbox")):
        return {}
    return {"donor_address": canonical(email), "donor_mailbox": mailbox(email)}


def _keep_former(tx: Tx, gifts: list[DonationRow]) -> None:
    """Keep gifts with users who moved: of "weiß" a user remembers "weiss", as all records did."""
    found = {
        (gift["user_id"], gift["donor_mailbox"], _donor(gift)["donor_mailbox"])
        for gift in gifts
        if gift.get("user_id") and gift.get("donor_mailbox")
    }
    operations = [
        UpdateOne(
            {"_id": user_id, "former_mailboxes": earlier},
            {"$addToSet": {"former_mailboxes": where}},
        )
        for user_id, earlier, where in found
        if earlier != where
    ]
    if operations:
        tx.database.users.bulk_write(operations, ordered=False, session=tx.session)
