"""Erasure of a person in gifts; see erasure.py for the whole erasure."""

from collections.abc import Callable, Iterator
from typing import Any

from bson import ObjectId
from mongoengine import get_db
from pymongo.errors import DuplicateKeyError

from documents.erased.person import ERASED_NAME, Person, list_stored_forms
from documents.erased.stand_ins import pseudonymize_id
from documents.giving_links.link_token import make_token
from documents.giving_links.references import resolve_reference
from documents.match import find_linked_gifts
from documents.matching import rematch
from documents.matching.candidates import ERASED_DONOR_PREFIX as ERASED_DONOR
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.storage.export_outbox import note_writes
from documents.storage.transaction import in_transaction
from documents.values.address import to_mailbox
from matchback.engine import Tx

GIFT_OWNER_FIELDS = ("organization_id", "fundraiser_id", "donor_name", "donor_email")
GIFT_CLIENT_ID_FIELDS = ("email_ref", "external_id", "recurring_id")  # texts of clients
ERASED_GIFT_FIELDS = dict.fromkeys((*GIFT_OWNER_FIELDS, *GIFT_CLIENT_ID_FIELDS), 1)


def erase_gifts(person: Person) -> None:
    """Remove name and address from the person's gifts, and from the client IDs of these gifts."""
    for gift in find_gifts(person):
        _erase(person, gift)


def erase_mentions(person: Person) -> None:
    """Remove the address from the client IDs of other gifts, such as the ID of a cheque.

    Such a gift keeps its donor. It loses the name only if it has no donor address and the name is
    the person's.
    """
    if not person.addresses:
        return
    of_organization = {"organization_id": person.organization_id}
    named = {"$or": [{name: {"$type": "string"}} for name in GIFT_CLIENT_ID_FIELDS]}
    for gift in collection(get_db(), DonationRow).find(of_organization | named, ERASED_GIFT_FIELDS):
        texts = gift.get("email_ref"), gift.get("external_id"), gift.get("recurring_id")
        if not any(person.traces.has_address(text) for text in texts if text):
            continue
        is_named = not gift.get("donor_email") and person.traces.has_name(gift["donor_name"])
        donor = {"donor_name": ERASED_NAME} if is_named else {}
        _update(gift, donor | _plain_ids(gift, person.traces.has_address))


def find_gifts(person: Person) -> Iterator[DonationRow]:
    """Yield the gifts that the person is known to have given."""
    yield from find_linked_gifts(Tx(get_db()), "user_id", [person.user_id], {}, ERASED_GIFT_FIELDS)
    for query in _list_address_queries(person):
        for gift in collection(get_db(), DonationRow).find(query, ERASED_GIFT_FIELDS):
            if person.traces.belongs_to_person(gift.get("donor_email") or ""):
                yield gift


def _list_address_queries(person: Person) -> list[dict[str, Any]]:
    forms = list_stored_forms(person.addresses)
    if not forms:
        return []
    mailboxes = sorted({*forms, *map(to_mailbox, person.addresses)})
    of_organization = {"organization_id": person.organization_id}
    # Gifts from the first version have no mailbox until their migration.
    old = {"donor_mailbox": None, "donor_address": {"$in": forms}}
    return [{**of_organization, **one} for one in ({"donor_mailbox": {"$in": mailboxes}}, old)]


def _erase(person: Person, gift: DonationRow) -> None:
    told = _plain_ids(gift, person.add_gift_traces(gift).names_person)
    # An anonymous stand-in, so that all gifts of the person still have one donor.
    donor = f"{ERASED_DONOR}{person.user_id}"
    update = {
        "donor_name": ERASED_NAME,
        "donor_email": ERASED_NAME,
        "donor_address": donor,
        "donor_mailbox": donor,
        **told,
        # Emails that arrived in the meantime looked for gifts by the old address.
        **rematch.build_rematch_marks(),
    }
    _update(gift, update)


def _plain_ids(gift: DonationRow, tells: Callable[[str], bool]) -> dict[str, str]:
    """Return the replacements of client IDs that name a person. Rename the plan of the gift."""
    told: dict[str, str] = {}
    if tells(gift.get("email_ref") or ""):
        told["email_ref"] = (
            simplify_reference(gift["organization_id"], gift["email_ref"]) or ERASED_NAME
        )
    if tells(gift.get("external_id") or ""):
        told["external_id"] = pseudonymize_id(gift["organization_id"], gift["external_id"])
    if tells(gift.get("recurring_id") or ""):
        in_transaction(rename_plan, gift)
    return told


def simplify_reference(organization_id: ObjectId, reference: str) -> str | None:
    """Return only the email's token or ID from a reference, so that the match stays.

    Return None if the reference names no email.
    """
    found = resolve_reference(organization_id, reference)
    if found is None:
        return None
    email_id, how = found
    return make_token(organization_id, email_id) if how == "link_token" else str(email_id)


def _update(gift: DonationRow, update: dict[str, Any]) -> None:
    if not update:  # only the plan changed
        return
    donations = get_db().donations
    try:
        donations.update_one({"_id": gift["_id"]}, {"$set": update})
    except DuplicateKeyError:
        # A client reused the ID between the two writes of its request and this write.
        unique = {"external_id": f"erased:{gift['_id']}"}
        donations.update_one({"_id": gift["_id"]}, {"$set": {**update, **unique}})
    note_writes(Tx(get_db()), {"donations": [gift["_id"]]})


def rename_plan(tx: Tx, gift: DonationRow) -> None:
    """Set the same stand-in on all instalments of a plan at once, so that it stays one plan."""
    plan = {"$type": "string", "$eq": gift["recurring_id"]}
    query = {"fundraiser_id": gift["fundraiser_id"], "recurring_id": plan}
    renamed = {"recurring_id": pseudonymize_id(gift["organization_id"], gift["recurring_id"])}
    tx.database.donations.update_many(
        query, {"$set": {**renamed, **rematch.build_rematch_marks()}}, session=tx.session
    )
