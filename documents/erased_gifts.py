"""Taking a person out of their gifts; part of erasing them. See erasure.py."""

from typing import Any

from bson import ObjectId
from mongoengine import get_db
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from documents import rematching
from documents.address import mailbox
from documents.candidates import ERASED as ERASED_DONOR
from documents.engine.contribution import Row
from documents.erased_person import NOBODY, Person, stored_forms
from documents.marks import text
from documents.stand_ins import may_name_person, stand_in
from documents.transaction import in_transaction
from documents.unexported import note

OF_GIFTS = ("organization_id", "fundraiser_id", "donor_name", "donor_email")
FIELDS = dict.fromkeys((*OF_GIFTS, "email_ref", "external_id", "recurring_id"), 1)


def erase_gifts(person: Person) -> None:
    """Take name and address out of the person's gifts, and out of IDs that clients gave them."""
    for query in _whose(person):
        for gift in get_db().donations.find(query, FIELDS):
            if "user_id" in query or person.traces.is_theirs(gift.get("donor_email") or ""):
                _erase(person, gift)


def _whose(person: Person) -> list[Row]:
    forms = stored_forms(person.addresses)
    mailboxes = sorted({*forms, *map(mailbox, person.addresses)})
    of_organization = {"organization_id": person.organization_id}
    # Only gifts of the first version, until they are migrated, have no mailbox.
    old = {"donor_mailbox": None, "donor_address": {"$in": forms}}
    by_address: list[Row] = [{"donor_mailbox": {"$in": mailboxes}}, old] if forms else []
    return [{"user_id": person.user_id}, *({**of_organization, **one} for one in by_address)]


def _erase(person: Person, gift: Row) -> None:
    tells = person.with_gift(gift).in_text
    told: Row = {}
    if tells(gift.get("email_ref") or ""):
        told["email_ref"] = NOBODY
    if tells(gift.get("external_id") or ""):
        told["external_id"] = stand_in(person.organization_id, gift["external_id"])
    if tells(gift.get("recurring_id") or ""):
        in_transaction(rename_plan, gift)
    # The same person still, though nobody knows who.
    donor = f"{ERASED_DONOR}{person.user_id}"
    update = {
        "donor_name": NOBODY,
        "donor_email": NOBODY,
        "donor_address": donor,
        "donor_mailbox": donor,
        **told,
        # What was learned of their emails meanwhile looked for gifts from their address.
        **rematching.again(),
    }
    donations = get_db().donations
    try:
        donations.update_one({"_id": gift["_id"]}, {"$set": update})
    except DuplicateKeyError:
        # A client used the ID again between the two writes of a request and this one.
        unique = {"external_id": f"erased:{gift['_id']}"}
        donations.update_one({"_id": gift["_id"]}, {"$set": {**update, **unique}})
    note(get_db(), None, {"donations": [gift["_id"]]})


def rename_plan(database: Database, session: ClientSession, gift: Row) -> None:
    """Give all instalments of a plan the same stand-in at once, so that it stays one plan."""
    plan = {"$type": "string", "$eq": gift["recurring_id"]}
    query = {"fundraiser_id": gift["fundraiser_id"], "recurring_id": plan}
    renamed = {"recurring_id": stand_in(gift["organization_id"], gift["recurring_id"])}
    database.donations.update_many(
        query, {"$set": {**renamed, **rematching.again()}}, session=session
    )


def with_external_id(organization_id: ObjectId, external_id: str | None) -> Row | None:
    """Return the gift that had this external_id until its donor was erased."""
    if external_id is None or not may_name_person(external_id):
        return None
    known = text(eq=stand_in(organization_id, external_id))
    query = {"organization_id": organization_id, "external_id": known}
    found: Row | None = get_db().donations.find_one(query)
    return found


def plan_of(
    database: Database,
    session: ClientSession | None,
    organization_id: ObjectId,
    recurring_id: str | None,
    **fundraiser: Any,
) -> str | None:
    """Return the ID of a plan as its instalments have it: a stand-in, if one of them is erased."""
    if recurring_id is None or not may_name_person(recurring_id):
        return recurring_id
    renamed = stand_in(organization_id, recurring_id)
    query = {**fundraiser, "recurring_id": text(eq=renamed)}
    found = database.donations.find_one(query, {"_id": 1}, session=session)
    return renamed if found else recurring_id
