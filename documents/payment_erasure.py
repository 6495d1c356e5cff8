"""Taking a person out of what is kept of payments; part of erasing them. See erasure.py."""

from dataclasses import asdict
from typing import Any

from mongoengine import get_db
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents.decoded import texts_of
from documents.engine.contribution import Row
from documents.erased_gifts import rename_plan
from documents.erased_person import Person
from documents.payment import payment_id
from documents.payment_person import IDS, without_person
from documents.payment_state import state_of
from documents.stand_ins import stand_in
from documents.traces import REDACTED, Traces
from documents.transaction import in_transaction


def erase_payments(person: Person) -> set[str]:
    """Strip all payments of a person, by their gifts and by their addresses.

    Returns the payments' IDs.
    """
    gifts = {"user_id": person.user_id, "payment_id": {"$type": "string"}}
    theirs = {row["payment_id"] for row in get_db().donations.find(gifts, {"payment_id": 1})}
    linked: dict[str, str] = {}
    for payment in get_db().payments.find({"organization_id": person.organization_id}):
        if payment["_id"] in theirs or _gives(payment, person.traces):
            theirs.add(payment["_id"])
            in_transaction(_strip, payment["_id"], person)
        elif person.traces.has_address("\n".join(texts_of(payment["facts"]))):
            in_transaction(_redact, payment["_id"], person)
        if payment.get("linked_to"):
            provider = payment["_id"].split(":", 2)[1]
            of = payment_id(person.organization_id, provider, payment["linked_to"])
            linked[payment["_id"]] = of
    return theirs | {invoice for invoice, of in linked.items() if of in theirs}


def _gives(payment: Row, traces: Traces) -> bool:
    emails = (fact.get("email") for fact in payment["facts"].values())
    return any(traces.is_theirs(email) for email in emails if email)


def _strip(database: Database, session: ClientSession, id_: str, person: Person) -> None:
    """Take the person out of a payment of theirs, now and whenever more is reported of it."""
    payment = database.payments.find_one({"_id": id_}, session=session)
    if payment is None:
        return
    gift = database.donations.find_one({"_id": payment.get("donation_id")}, session=session) or {}
    traces = person.with_gift(gift) if gift.get("user_id") == person.user_id else person.traces
    named = {fact[name] for fact in payment["facts"].values() for name in IDS if fact.get(name)}
    forgotten = {
        *payment.get("forgotten", ()),
        *(stand_in(person.organization_id, one) for one in named if traces.in_text(one)),
    }
    facts = without_person(payment["facts"], person.organization_id, forgotten)
    _write(database, session, payment, facts, {"erased": True, "forgotten": sorted(forgotten)})


def _redact(database: Database, session: ClientSession, id_: str, person: Person) -> None:
    """Take the address out of a payment of somebody else."""
    payment = database.payments.find_one({"_id": id_}, session=session)
    if payment is None:
        return

    def plain(name: str, value: Any) -> Any:
        if not isinstance(value, str) or not person.traces.has_address(value):
            return value
        return stand_in(person.organization_id, value) if name == "recurring_id" else REDACTED

    facts = {
        id_: {name: plain(name, value) for name, value in fact.items()}
        for id_, fact in payment["facts"].items()
    }
    gift = database.donations.find_one({"_id": payment.get("donation_id")}, session=session) or {}
    if person.traces.has_address(gift.get("recurring_id") or ""):
        rename_plan(database, session, gift)
    _write(database, session, payment, facts, {})


def _write(database: Database, session: ClientSession, payment: Row, facts: Row, more: Row) -> None:
    state = state_of(facts) if payment.get("applied") else None
    applied = {"applied": asdict(state)} if state else {}
    update = {"$set": {"facts": facts, **applied, **more}}
    if more.get("erased"):
        update["$unset"] = {"key": ""}
    database.payments.update_one({"_id": payment["_id"]}, update, session=session)
