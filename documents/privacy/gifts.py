"""Erasure of a person in their gifts: a part of erasure.py."""

from collections.abc import Callable, Iterator
from typing import Any

from bson import ObjectId
from mongoengine import get_db
from pymongo.errors import DuplicateKeyError

from documents.erased.person import ERASED_NAME, Person, stored_forms
from documents.erased.stand_ins import stand_in
from documents.giving_links.link_token import token
from documents.giving_links.references import resolve
from documents.matching import rematch
from documents.matching.candidates import ERASED as ERASED_DONOR
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.storage.export_outbox import note
from documents.storage.transaction import in_transaction
from documents.values.address import mailbox
from matchback.engine import Tx

OF_GIFTS = ("organization_id", "fundraiser_id", "donor_name", "donor_email")
IDS = ("email_ref", "external_id", "recurring_id")  # texts of clients
FIELDS = dict.fromkeys((*OF_GIFTS, *IDS), 1)


def erase_gifts(person: Person) -> None:
    """Take name and address out of the person's gifts, and out of IDs that clients gave them."""
    for gift in gifts_of(person):
        _erase(person, gift)


def erase_mentions(person: Person) -> None:
    """Take the address out of IDs that clients gave to other gifts, such as a cheque's.

    Such a gift keeps its donor, unless it names none but by the address in an ID.
    """
    if not person.addresses:
        return
    of_organization = {"organization_id": person.organization_id}
    named = {"$or": [{name: {"$type": "string"}} for name in IDS]}
    for gift in collection(get_db(), DonationRow).find(of_organization | named, FIELDS):
        texts = gift.get("email_ref"), gift.get("external_id"), gift.get("recurring_id")
        if not any(person.traces.has_address(text) for text in texts if text):
            continue
        is_named = not gift.get("donor_email") and person.traces.has_name(gift["donor_name"])
        donor = {"donor_name": ERASED_NAME} if is_named else {}
        _update(gift, donor | _plain_ids(gift, person.traces.has_address))


def gifts_of(person: Person) -> Iterator[DonationRow]:
    """Yield the gifts that the person gave, as far as that is known."""
    for query in _whose(person):
        for gift in collection(get_db(), DonationRow).find(query, FIELDS):
            if "user_id" in query or person.traces.is_theirs(gift.get("donor_email") or ""):
                yield gift


def _whose(person: Person) -> list[dict[str, Any]]:
    forms = stored_forms(person.addresses)
    mailboxes = sorted({*forms, *map(mailbox, person.addresses)})
    of_organization = {"organization_id": person.organization_id}
    # Only gifts of the first version, until they are migrated, have no mailbox.
    old = {"donor_mailbox": None, "donor_address": {"$in": forms}}
    by_address: list[dict[str, Any]] = [{"donor_mailbox": {"$in": mailboxes}}, old] if forms else []
    return [{"user_id": person.user_id}, *({**of_organization, **one} for one in by_address)]


def _erase(person: Person, gift: DonationRow) -> None:
    told = _plain_ids(gift, person.with_gift(gift).in_text)
    # The same person still, though nobody knows who.
    donor = f"{ERASED_DONOR}{person.user_id}"
    update = {
        "donor_name": ERASED_NAME,
        "donor_email": ERASED_NAME,
        "donor_address": donor,
        "donor_mailbox": donor,
        **told,
        # What was learned of their emails meanwhile looked for gifts from their address.
        **rematch.again(),
    }
    _update(gift, update)


def _plain_ids(gift: DonationRow, tells: Callable[[str], bool]) -> dict[str, str]:
    """Return what replaces IDs that tell of a person. The plan of all instalments is renamed."""
    told: dict[str, str] = {}
    if tells(gift.get("email_ref") or ""):
        told["email_ref"] = (
            plain_reference(gift["organization_id"], gift["email_ref"]) or ERASED_NAME
        )
    if tells(gift.get("external_id") or ""):
        told["external_id"] = stand_in(gift["organization_id"], gift["external_id"])
    if tells(gift.get("recurring_id") or ""):
        in_transaction(rename_plan, gift)
    return told


def plain_reference(organization_id: ObjectId, reference: str) -> str | None:
    """Return the email that a reference names, without what else it has, so that a match stays."""
    found = resolve(organization_id, reference)
    if found is None:
        return None
    email_id, how = found
    return token(organization_id, email_id) if how == "link_token" else str(email_id)


def _update(gift: DonationRow, update: dict[str, Any]) -> None:
    if not update:  # only its plan was renamed
        return
    donations = get_db().donations
    try:
        donations.update_one({"_id": gift["_id"]}, {"$set": update})
    except DuplicateKeyError:
        # A client used the ID again between the two writes of a request and this one.
        unique = {"external_id": f"erased:{gift['_id']}"}
        donations.update_one({"_id": gift["_id"]}, {"$set": {**update, **unique}})
    note(Tx(get_db()), {"donations": [gift["_id"]]})


def rename_plan(tx: Tx, gift: DonationRow) -> None:
    """Give all instalments of a plan the same stand-in at once, so that it stays one plan."""
    plan = {"$type": "string", "$eq": gift["recurring_id"]}
    query = {"fundraiser_id": gift["fundraiser_id"], "recurring_id": plan}
    renamed = {"recurring_id": stand_in(gift["organization_id"], gift["recurring_id"])}
    tx.database.donations.update_many(
        query, {"$set": {**renamed, **rematch.again()}}, session=tx.session
    )
