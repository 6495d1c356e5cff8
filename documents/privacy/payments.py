"""Erasure of a person in stored payments: a part of erasure.py."""

from collections.abc import Iterable
from dataclasses import asdict

from mongoengine import get_db

from documents.erased.decoded import texts_of
from documents.erased.person import Person
from documents.erased.rules import REDACTED, Traces
from documents.erased.stand_ins import stand_in
from documents.payments.facts import Facts
from documents.payments.facts_without_person import IDS, replace_texts, without_person
from documents.payments.payment import payment_id, split_id
from documents.payments.rules import state_of
from documents.privacy.gifts import gifts_of, plain_reference, rename_plan
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.rows.payment import InheritedFields, PaymentRow
from documents.storage.transaction import in_transaction
from matchback.engine import Tx


def erase_payments(person: Person) -> set[str]:
    """Strip all payments of a person, by their gifts and by their addresses, and their plans.

    Returns the payments' IDs.
    """
    gifts = {gift["_id"] for gift in gifts_of(person)}
    theirs: set[str] = set()
    linked: dict[str, str] = {}
    plans: dict[str, set[str]] = {}
    for payment in collection(get_db(), PaymentRow).find(
        {"organization_id": person.organization_id}
    ):
        if payment.get("donation_id") in gifts or _gives(payment, person.traces):
            theirs.add(payment["_id"])
            in_transaction(_strip, payment["_id"], person)
        elif person.traces.has_address(_texts(payment)):
            in_transaction(_redact, payment["_id"], person)
        if payment.get("linked_to"):
            [linked[payment["_id"]]] = _ids(payment, [payment["linked_to"]])
        if payment.get("instalments"):
            plans[payment["_id"]] = _ids(payment, payment["instalments"])
    theirs |= {invoice for invoice, of in linked.items() if of in theirs}
    # What only a session states, such as another name or address, is kept with the plan.
    own_plans = {plan for plan, instalments in plans.items() if instalments & theirs} - theirs
    for plan in own_plans:
        in_transaction(_strip, plan, person)
    return theirs | own_plans


def _ids(payment: PaymentRow, keys: Iterable[str]) -> set[str]:
    """Return the IDs of payments of the same provider."""
    provider, _ = split_id(payment["_id"])
    return {payment_id(payment["organization_id"], provider, key) for key in keys}


def _texts(payment: PaymentRow) -> str:
    return "\n".join([payment.get("key") or "", *texts_of(payment["facts"])])


def _gives(payment: PaymentRow, traces: Traces) -> bool:
    """Whether the payment names the person as its giver: in its key, if it has no address."""
    emails = [email for fact in payment["facts"].values() if (email := fact.get("email"))]
    if not emails:
        return traces.has_address(payment.get("key") or "")
    return any(map(traces.is_theirs, emails))


def _strip(tx: Tx, id_: str, person: Person) -> None:
    """Take the person out of a payment of theirs, now and whenever more is reported of it."""
    payment = collection(tx.database, PaymentRow).find_one({"_id": id_}, session=tx.session)
    if payment is None:
        return
    of = {"_id": payment.get("donation_id")}
    gift = collection(tx.database, DonationRow).find_one(of, session=tx.session)
    is_theirs = gift is not None and gift.get("user_id") == person.user_id
    traces = person.with_gift(gift) if gift and is_theirs else person.traces
    named = {fact[name] for fact in payment["facts"].values() for name in IDS if fact.get(name)}
    forgotten = {
        *payment.get("forgotten", ()),
        *(stand_in(person.organization_id, one) for one in named if traces.in_text(one)),
    }
    facts = without_person(payment["facts"], person.organization_id, forgotten)
    _write(tx, payment, facts, {"erased": True, "forgotten": sorted(forgotten)})


def _redact(tx: Tx, id_: str, person: Person) -> None:
    """Take the address out of a payment of somebody else."""
    payment = collection(tx.database, PaymentRow).find_one({"_id": id_}, session=tx.session)
    if payment is None:
        return
    named = [("key", payment.get("key") or "")]
    named += [item for fact in payment["facts"].values() for item in fact.items()]
    replaced: dict[str, str] = (payment.get("replaced") or {}) | {
        stand_in(person.organization_id, value): _replacement(person, name, value)
        for name, value in named
        if isinstance(value, str) and person.traces.has_address(value)
    }
    facts = replace_texts(payment["facts"], person.organization_id, replaced)
    of = {"_id": payment.get("donation_id")}
    gift = collection(tx.database, DonationRow).find_one(of, session=tx.session)
    if gift and person.traces.has_address(gift.get("recurring_id") or ""):
        rename_plan(tx, gift)
    _write(tx, payment, facts, {"replaced": replaced})


def _replacement(person: Person, name: str, value: str) -> str:
    if name == "recurring_id":
        return stand_in(person.organization_id, value)
    if name in ("email_ref", "reference"):
        return plain_reference(person.organization_id, value) or REDACTED
    return REDACTED


def _write(tx: Tx, payment: PaymentRow, facts: Facts, more: InheritedFields) -> None:
    state = state_of(facts, payment.get("gift_currency")) if payment.get("applied") else None
    applied = {"applied": asdict(state)} if state else {}
    update = {"$set": {"facts": facts, **applied, **more}}
    key = payment.get("key")
    if more.get("erased") or (
        key and stand_in(payment["organization_id"], key) in (more.get("replaced") or {})
    ):
        update["$unset"] = {"key": ""}
    tx.database.payments.update_one({"_id": payment["_id"]}, update, session=tx.session)
