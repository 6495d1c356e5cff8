"""Taking a person out of what is kept of payments; part of erasing them. See erasure.py."""

from collections.abc import Collection
from dataclasses import asdict

from bson import ObjectId
from mongoengine import get_db
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents.address import mailbox
from documents.engine.contribution import Row
from documents.payment_state import state_of, without_person
from documents.transaction import in_transaction


def erase_payments(organization_id: ObjectId, user_id: ObjectId, addresses: list[str]) -> list[str]:
    """Strip all payments of a person, by their gifts and by their addresses.

    Returns the payments' keys, by which stored webhooks name them.
    """
    gifts = {"user_id": user_id, "payment_id": {"$type": "string"}}
    theirs = {row["payment_id"] for row in get_db().donations.find(gifts, {"payment_id": 1})}
    mailboxes = {mailbox(address) for address in addresses}
    for payment in get_db().payments.find({"organization_id": organization_id}):
        if payment["_id"] in theirs or _tells_of(payment, mailboxes):
            theirs.add(payment["_id"])
            in_transaction(_strip, payment["_id"])
    return [id_.split(":", 2)[2] for id_ in sorted(theirs)]


def _tells_of(payment: Row, mailboxes: Collection[str]) -> bool:
    emails = (fact.get("email") for fact in payment["facts"].values())
    return any(mailbox(email) in mailboxes for email in emails if email)


def _strip(database: Database, session: ClientSession, id_: str) -> None:
    payment = database.payments.find_one({"_id": id_}, session=session)
    if payment is None:
        return
    facts = without_person(payment["facts"])
    state = state_of(facts) if payment.get("applied") else None
    applied = {"applied": asdict(state)} if state else {}
    update = {"$set": {"facts": facts, "erased": True, **applied}}
    database.payments.update_one({"_id": id_}, update, session=session)
