"""Erasure of a person in stored payments; see erasure.py for the whole erasure.

An index finds the payments, so the cost does not depend on other people's payments.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict

from bson import ObjectId
from mongoengine import get_db

from documents.erased.mailboxes import ANY_MAILBOX, mailbox_digest
from documents.erased.person import Person
from documents.erased.rules import REDACTED_TEXT
from documents.erased.stand_ins import pseudonymize_id
from documents.payments.facts import PaymentFacts
from documents.payments.facts_without_person import (
    CLIENT_ID_FIELDS,
    remove_person,
    replace_personal_texts,
)
from documents.payments.named_by import MIGRATION, emails_of, texts_of
from documents.payments.payment import make_payment_id, split_payment_id, store
from documents.payments.rules import decide_gift_state, list_plans
from documents.privacy.gifts import find_gifts, rename_plan, simplify_reference
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.rows.payment import InheritedFields, PaymentRow
from documents.storage.transaction import in_transaction
from matchback.engine import Tx

GIFTS_A_QUERY = 500


def erase_payments(person: Person) -> set[str]:
    """Remove a person from all payments and plans that their gifts or addresses identify.

    Return the IDs of the person's own payments.
    """
    gifts = {gift["_id"] for gift in find_gifts(person)}
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
    # The plan holds facts of its session, such as another name or address.
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
    # None finds payments that an earlier version stored after the migration.
    names = [*sorted(digests), str(person.user_id), ANY_MAILBOX, None]
    yield from payments.find({**of_organization, "named_by": {"$in": names}})
    wanted = sorted(gifts)
    for start in range(0, len(wanted), GIFTS_A_QUERY):
        page = wanted[start : start + GIFTS_A_QUERY]
        yield from payments.find({**of_organization, "donation_id": {"$in": page}})


def _has_unnamed() -> bool:
    """Return whether payments without a current `named_by` may exist."""
    finished = {"_id": MIGRATION, "finished_at": {"$ne": None}}
    return get_db().migrations.find_one(finished, {"_id": 1}) is None


def _related(payment: PaymentRow) -> set[str]:
    """Return the IDs that the payment's invoices and plans would have as payments."""
    invoices = (id_.partition(":")[0] for id_ in payment["facts"])
    return _ids(payment, [*invoices, *list_plans(payment["facts"])])


def _ids(payment: PaymentRow, keys: Iterable[str | None]) -> set[str]:
    """Return the IDs of payments of the same provider."""
    provider, _ = split_payment_id(payment["_id"])
    return {make_payment_id(payment["organization_id"], provider, key) for key in keys if key}


def _rows(organization_id: ObjectId, ids: Iterable[str]) -> list[PaymentRow]:
    query = {"_id": {"$in": sorted(ids)}, "organization_id": organization_id}
    fields = dict.fromkeys(("organization_id", "linked_to", "instalments"), 1)
    return list(collection(get_db(), PaymentRow).find(query, fields).hint([("_id", 1)]))


def _gives(payment: PaymentRow, person: Person) -> bool:
    """Return whether the payment names the person as its giver.

    Without a giver's address, check the key of the payment.
    """
    if person.user_id in payment.get("stripped_for", ()):
        return True
    if emails := emails_of(payment):
        return any(map(person.traces.belongs_to_person, emails))
    return person.traces.has_address(payment.get("key") or "")


def _strip(tx: Tx, id_: str, person: Person) -> None:
    """Remove the person from their own payment, and mark it so that later facts lose them too."""
    payment = collection(tx.database, PaymentRow).find_one({"_id": id_}, session=tx.session)
    if payment is None:
        return
    of = {"_id": payment.get("donation_id")}
    gift = collection(tx.database, DonationRow).find_one(of, session=tx.session)
    is_theirs = gift is not None and gift.get("user_id") == person.user_id
    traces = person.add_gift_traces(gift) if gift and is_theirs else person.traces
    named = {
        fact[name]
        for fact in payment["facts"].values()
        for name in CLIENT_ID_FIELDS
        if fact.get(name)
    }
    forgotten = {
        *payment.get("forgotten", ()),
        *(
            pseudonymize_id(person.organization_id, one)
            for one in named
            if traces.names_person(one)
        ),
    }
    facts = remove_person(payment["facts"], person.organization_id, forgotten)
    users = {*payment.get("stripped_for", ()), person.user_id}
    more: InheritedFields = {
        "erased": True,
        "forgotten": sorted(forgotten),
        "stripped_for": sorted(users),
    }
    _write(tx, payment, facts, more)


def _redact(tx: Tx, id_: str, person: Person) -> None:
    """Remove the person's address from another person's payment."""
    payment = collection(tx.database, PaymentRow).find_one({"_id": id_}, session=tx.session)
    if payment is None:
        return
    named = [("key", payment.get("key") or "")]
    named += [item for fact in payment["facts"].values() for item in fact.items()]
    replaced: dict[str, str] = (payment.get("replaced") or {}) | {
        pseudonymize_id(person.organization_id, value): _replacement(person, name, value)
        for name, value in named
        if isinstance(value, str) and person.traces.has_address(value)
    }
    facts = replace_personal_texts(payment["facts"], person.organization_id, replaced)
    of = {"_id": payment.get("donation_id")}
    gift = collection(tx.database, DonationRow).find_one(of, session=tx.session)
    if gift and person.traces.has_address(gift.get("recurring_id") or ""):
        rename_plan(tx, gift)
    _write(tx, payment, facts, {"replaced": replaced})


def _replacement(person: Person, name: str, value: str) -> str:
    if name == "recurring_id":
        return pseudonymize_id(person.organization_id, value)
    if name in ("email_ref", "reference"):
        return simplify_reference(person.organization_id, value) or REDACTED_TEXT
    return REDACTED_TEXT


def _write(tx: Tx, payment: PaymentRow, facts: PaymentFacts, more: InheritedFields) -> None:
    state = (
        decide_gift_state(facts, payment.get("gift_currency")) if payment.get("applied") else None
    )
    row: PaymentRow = {**payment, "facts": facts, **more}
    if state:
        row["applied"] = asdict(state)
    key = payment.get("key")
    if more.get("erased") or (
        key and pseudonymize_id(payment["organization_id"], key) in (more.get("replaced") or {})
    ):
        row.pop("key", None)
    store(tx, row)
