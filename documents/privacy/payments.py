"""Erasure of a person in stored payments: a part of erasure.py.

An index finds the payments, so the cost does not depend on the payments of other people.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict

from bson import ObjectId
from mongoengine import get_db

from documents.erased.mailboxes import ANY_MAILBOX, mailbox_digest
from documents.erased.person import Person
from documents.erased.rules import REDACTED
from documents.erased.stand_ins import stand_in
from documents.payments.facts import Facts
from documents.payments.facts_without_person import IDS, replace_texts, without_person
from documents.payments.named_by import MIGRATION, emails_of, texts_of
from documents.payments.payment import payment_id, split_id, store
from documents.payments.rules import plans_of, state_of
from documents.privacy.gifts import gifts_of, plain_reference, rename_plan
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.rows.payment import InheritedFields, PaymentRow
from documents.storage.transaction import in_transaction
from matchback.engine import Tx

GIFTS_A_QUERY = 500


def erase_payments(person: Person) -> set[str]:
    """Strip all payments of a person, by their gifts and by their addresses, and their plans.

    Returns the payments' IDs.
    """
    gifts = {gift["_id"] for gift in gifts_of(person)}
    theirs: set[str] = set()
    related: set[str] = set()
    for payment in _candidates(person, gifts):
        if payment["_id"] in theirs:
            continue
        if payment.get("donation_id") in gifts or _gives(payment, person):
            theirs.add(payment["_id"])
            related |= _related(payment)
            in_transaction(_strip, payment["_id"], person)
        elif any(map(person.traces.has_address, texts_of(payment))):
            in_transaction(_redact, payment["_id"], person)
    others = _rows(person.organization_id, related - theirs)
    theirs |= {row["_id"] for row in others if _ids(row, [row.get("linked_to")]) & theirs}
    # What only a session states, such as another name or address, is kept with the plan.
    own_plans = {row["_id"] for row in others if _ids(row, row.get("instalments", ())) & theirs}
    for plan in own_plans - theirs:
        in_transaction(_strip, plan, person)
    return theirs | own_plans


def _candidates(person: Person, gifts: Iterable[ObjectId]) -> Iterator[PaymentRow]:
    """Yield the payments that the person's gifts, mailboxes or an interrupted erasure name."""
    organization_id = person.organization_id
    of_organization = {"organization_id": organization_id}
    payments = collection(get_db(), PaymentRow)
    if _has_unnamed():
        yield from payments.find(of_organization)
        return
    digests = {mailbox_digest(organization_id, one) for one in person.addresses}
    # None finds what an earlier version stored after the migration.
    names = [*sorted(digests), str(person.user_id), ANY_MAILBOX, None]
    yield from payments.find({**of_organization, "named_by": {"$in": names}})
    wanted = sorted(gifts)
    for start in range(0, len(wanted), GIFTS_A_QUERY):
        page = wanted[start : start + GIFTS_A_QUERY]
        yield from payments.find({**of_organization, "donation_id": {"$in": page}})


def _has_unnamed() -> bool:
    """Return whether an earlier version may have stored payments, or changed named ones."""
    finished = {"_id": MIGRATION, "finished_at": {"$ne": None}}
    return get_db().migrations.find_one(finished, {"_id": 1}) is None


def _related(payment: PaymentRow) -> set[str]:
    """Return the IDs that the payment's invoices and plans have as payments, if they have any."""
    invoices = (id_.partition(":")[0] for id_ in payment["facts"])
    return _ids(payment, [*invoices, *plans_of(payment["facts"])])


def _ids(payment: PaymentRow, keys: Iterable[str | None]) -> set[str]:
    """Return the IDs of payments of the same provider."""
    provider, _ = split_id(payment["_id"])
    return {payment_id(payment["organization_id"], provider, key) for key in keys if key}


def _rows(organization_id: ObjectId, ids: Iterable[str]) -> list[PaymentRow]:
    query = {"_id": {"$in": sorted(ids)}, "organization_id": organization_id}
    fields = dict.fromkeys(("organization_id", "linked_to", "instalments"), 1)
    return list(collection(get_db(), PaymentRow).find(query, fields).hint([("_id", 1)]))


def _gives(payment: PaymentRow, person: Person) -> bool:
    """Whether the payment names the person as its giver: in its key, if it has no address."""
    if person.user_id in payment.get("stripped_for", ()):
        return True
    if emails := emails_of(payment):
        return any(map(person.traces.is_theirs, emails))
    return person.traces.has_address(payment.get("key") or "")


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
    users = {*payment.get("stripped_for", ()), person.user_id}
    more: InheritedFields = {
        "erased": True,
        "forgotten": sorted(forgotten),
        "stripped_for": sorted(users),
    }
    _write(tx, payment, facts, more)


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
    row: PaymentRow = {**payment, "facts": facts, **more}
    if state:
        row["applied"] = asdict(state)
    key = payment.get("key")
    if more.get("erased") or (
        key and stand_in(payment["organization_id"], key) in (more.get("replaced") or {})
    ):
        row.pop("key", None)
    store(tx, row)
