"""The migration of addresses: people, gifts and events get the key that all spellings share.

A record that already has the current key keeps it. If several records have earlier keys, the oldest
one gets the current key. The migration notes the other records as duplicates.
"""

from collections import defaultdict
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from documents.matching import rematch
from documents.matching.candidates import is_erased_donor
from documents.message import store_new_messages
from documents.migrations.counting import count_settled_rows, name_donors
from documents.people.duplicate import note_duplicate
from documents.people.search_words import list_search_words
from documents.rows.donation import DonationRow
from documents.rows.event import EventRow
from documents.storage.marks import build_text_condition
from documents.tracking.unmatched import UNMATCHED_RETRY_INTERVAL
from documents.values.address import fold_text, to_canonical, to_mailbox
from documents.values.time import now
from matchback.engine import Tx, Update

# The organization and the address. A user's address is unique within the organization. The
# organization is None for staff, because a staff address is unique in the whole service.
AddressKey = tuple[Any, str]


def respell_users(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Give users the canonical address as their key.

    Mark their gifts for rematch, and make their unmatched events due.
    """
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
    """Give staff the canonical address as their key. It is unique in the whole service."""
    live = [row for row in rows if "address" in row]
    moved, updates = _rekey(tx, "staff", live)
    _write(tx, "staff", updates, moved)


def respell_gifts(tx: Tx, rows: list[DonationRow]) -> None:
    """Give gifts their donors' canonical address, count them again, and mark them for rematch."""
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
    count_settled_rows(tx, "donations", gifts)
    rematch.mark_for_rematch(tx, [gift["_id"] for gift in gifts if gift.get("match")])


def respell_events(tx: Tx, rows: list[EventRow]) -> None:
    """Give events and messages the canonical address, and make unmatched events due."""
    odd = [
        row
        for row in rows
        if fold_text(row.get("address", "")) != to_canonical(row.get("address", ""))
    ]
    due = {"due": now() - UNMATCHED_RETRY_INTERVAL}
    for row in odd:
        if "unmatched" in row and row["unmatched"] != to_canonical(row["address"]):
            known = {"unmatched": to_canonical(row["address"]), **due}
            tx.database.events.update_one({"_id": row["_id"]}, {"$set": known}, session=tx.session)
    tied = [row for row in odd if "email_id" in row and row["type"] != "erased"]
    learned = store_new_messages(tx, sorted(tied, key=lambda row: row["at"]))
    for row in learned.values():
        _events_look_again(tx, row["organization_id"], {to_canonical(row["address"])})


def _rekey(
    tx: Tx, collection: str, rows: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], defaultdict[ObjectId, Update]]:
    """Give people the current keys of their addresses, except keys that another person holds.

    Return the rows with a new key, and the updates by ID. The rows already contain the new key, but
    the caller must write the updates.
    """
    stale = {row["_id"]: row for row in rows if row["address"] != to_canonical(row["email"])}
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
        if to_canonical(row["address"]) != key[1]:  # another mailbox has this key now
            row["address"] = f"{key[1]} {id_}"
            updates[id_].set({"address": row["address"]})
        note_duplicate(tx, collection, row, holder)
    # Remove all old keys first, so that no new key collides with another record's old key.
    gone = {"_id": {"$in": list(updates)}}
    if updates:
        tx.database[collection].update_many(gone, {"$unset": {"address": ""}}, session=tx.session)
    return moved, updates


def _holders(
    tx: Tx, collection: str, stale: dict[ObjectId, dict[str, Any]]
) -> dict[AddressKey, ObjectId]:
    """Return the IDs of the people who hold the keys that these rows need.

    Add people to `stale` if they hold such a key but need another one.
    """
    holders: dict[AddressKey, ObjectId] = {}
    asked: set[str] = set()
    while wanted := {to_canonical(row["email"]) for row in stale.values()} - asked:
        asked |= wanted
        query = {"address": build_text_condition(in_=sorted(wanted))}
        for row in tx.database[collection].find(query, session=tx.session):
            if row["address"] == to_canonical(row["email"]):
                holders[_key(collection, row)] = row["_id"]
            else:
                stale.setdefault(row["_id"], row)
    return holders


def _key(collection: str, row: dict[str, Any]) -> AddressKey:
    return row["organization_id"] if collection == "users" else None, to_canonical(row["email"])


def _found_by(user: dict[str, Any]) -> dict[str, Any]:
    """Return the search fields of a user, except the address."""
    found: dict[str, Any] = {
        "mailbox": to_mailbox(user["email"]),
        "words": list_search_words(user["name"], user["email"]),
    }
    if user.get("former_mailboxes"):
        former = {to_mailbox(name) for name in user["former_mailboxes"]} - {found["mailbox"]}
        found["former_mailboxes"] = sorted(former)
    return found


def _marked(user: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that mark gifts from the user's old and new mailboxes for rematch."""
    earlier = {*user.get("rematch_mailboxes", ()), user.get("mailbox"), to_mailbox(user["email"])}
    return {"rematch_mailboxes": sorted(filter(None, earlier)), "rematch_due": now()}


def _write(
    tx: Tx, collection: str, updates: defaultdict[ObjectId, Update], moved: list[dict[str, Any]]
) -> None:
    """Write the updates, and increment the versions of the moved rows.

    The new version makes a concurrent request fail if it read the record before this write.
    """
    for row in moved:
        updates[row["_id"]].increment({"version": 1})
    operations = [
        UpdateOne({"_id": id_}, update.operators) for id_, update in updates.items() if update
    ]
    if operations:
        tx.database[collection].bulk_write(operations, ordered=False, session=tx.session)


def _look_again(tx: Tx, users: list[dict[str, Any]]) -> None:
    """Make unmatched events due if their address belongs to a user with a new key."""
    for organization_id in {user["organization_id"] for user in users}:
        theirs = {user["address"] for user in users if user["organization_id"] == organization_id}
        _events_look_again(tx, organization_id, theirs)


def _events_look_again(tx: Tx, organization_id: ObjectId, addresses: set[str]) -> None:
    query = {
        "organization_id": organization_id,
        "unmatched": build_text_condition(in_=sorted(addresses)),
    }
    due = {"$set": {"due": now() - UNMATCHED_RETRY_INTERVAL}}
    tx.database.events.update_many(query, due, session=tx.session)


def _donor(gift: DonationRow) -> dict[str, str]:
    """Return the keys of a gift's donor, or nothing if the donor is unknown or erased."""
    email = gift.get("donor_email")
    if not email or is_erased_donor(gift.get("donor_mailbox")):
        return {}
    return {"donor_address": to_canonical(email), "donor_mailbox": to_mailbox(email)}


def _keep_former(tx: Tx, gifts: list[DonationRow]) -> None:
    """Add the new mailboxes to `former_mailboxes`, so that users keep their gifts.

    Earlier versions stored "weiß" as "weiss". A user with the former mailbox "weiss" also gets
    "weiß".
    """
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
