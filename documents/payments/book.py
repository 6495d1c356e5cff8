"""The transaction that stores what webhooks report of payments: facts, links, and gifts."""

from dataclasses import dataclass, field
from typing import Any, Literal

from bson import ObjectId

from documents.errors import Unusable
from documents.payments.facts import Fact, Facts, merge
from documents.payments.gift import apply
from documents.payments.payment import learn, payment_id, store
from documents.payments.rules import oddities, plans_of
from documents.rows.collections import collection
from documents.rows.payment import InheritedFields, PaymentRow
from documents.values.time import now
from matchback.engine import Tx

# What an invoice gives up once the payment that it is of is known.
OWN_OF_PAYMENT: tuple[Literal["public_id", "reason", "key", "assigned"], ...] = (
    "public_id",
    "reason",
    "key",
    "assigned",
)
# What a person did, or an erasure, when only the invoice was known.
INHERITED = frozenset(InheritedFields.__annotations__)


@dataclass
class Told:
    """What a delivery tells: facts by the key of their payment, and an invoice with its payment."""

    facts: dict[str, dict[str, Fact]] = field(default_factory=dict)
    link: tuple[str, str] | None = None
    note: str = ""  # why it changes no gift


class Book:
    """An organization's payments through one provider, within a transaction."""

    def __init__(self, tx: Tx, organization_id: ObjectId, provider: str) -> None:
        self._tx = tx
        self._organization_id = organization_id
        self._provider = provider
        self.tells_of_erased = False  # a webhook that was entered is about an erased person
        self._inherited: dict[
            str, InheritedFields
        ] = {}  # from invoices, by the keys of their payments
        self.notes: list[str] = []  # on what was entered, or what it brought to light

    def enter(self, told: Told) -> set[ObjectId]:
        """Merge what was told. Returns the fundraisers of the gifts that it is about.

        Raises:
            Unusable: the payment is of no fundraiser of the organization.
        """
        entries = dict(told.facts)
        self.notes += [told.note] if told.note else []
        if told.link:
            invoice, key = told.link
            entries[key] = merge(entries.get(key, {}), self._follow(invoice, key))
        entries = self._with_plans(entries)
        fundraisers: set[ObjectId] = set()
        refusal: Unusable | None = None
        for told_key, facts in entries.items():
            payment = self._payment(told_key)
            key = payment.get("linked_to") or told_key
            if key != told_key:
                payment = self._payment(key)
            payment.setdefault("public_id", ObjectId())
            payment = {**self._inherited.get(key, {}), **payment}
            was = payment.get("reason")
            changed = learn(payment, facts)
            try:
                fundraiser_id = apply(self._tx, payment, key)
            except Unusable as error:
                refusal, fundraiser_id = error, None
            changed |= self._note(payment, facts)
            if fundraiser_id:
                fundraisers.add(fundraiser_id)
            if changed or fundraiser_id or payment.get("reason") != was:
                store(self._tx, payment)
            self.tells_of_erased |= bool(payment.get("erased"))
        if refusal:
            raise refusal
        return fundraisers

    def _with_plans(self, entries: dict[str, Facts]) -> dict[str, Facts]:
        """Take what is told of whole plans out of the entries, and give it to their instalments.

        A session tells of a plan once, maybe after its instalments. Both write the plan's row, so
        of two transactions that cross one meets a write conflict and sees the other.
        """
        result = {key: facts for key, facts in entries.items() if key not in plans_of(facts)}
        for key, facts in entries.items():
            for plan in plans_of(facts):
                row = self._payment(plan)
                known = row.setdefault("instalments", [])
                changed = learn(row, facts) if plan == key else False
                if plan != key and key not in known:
                    known.append(key)
                    changed = True
                if changed:
                    store(self._tx, row)
                for one in known if plan == key else [key]:
                    result[one] = merge(result.get(one, {}), row["facts"])
        return result

    def _note(self, payment: PaymentRow, facts: Facts) -> bool:
        """Note the payment's odd facts. Returns whether that changed its row."""
        odd = oddities(payment["facts"], payment.get("gift_currency"))
        known = payment.get("notes", {})
        self.notes += [why for id_, why in odd.items() if id_ in facts or id_ not in known]
        if odd or known:
            payment["notes"] = odd
        return bool(odd != known)

    def _follow(self, invoice: str, key: str) -> dict[str, Fact]:
        """Note which payment an invoice is of. Returns what was told of it before."""
        waiting = self._payment(invoice)
        facts: dict[str, Fact] = waiting["facts"]
        if waiting.get("linked_to") != key:
            known = {name: value for name, value in waiting.items() if value}
            inherited: Any = {name: known[name] for name in known.keys() & INHERITED}
            self._inherited[key] = inherited
            for name in OWN_OF_PAYMENT:
                waiting.pop(name, None)
            store(self._tx, {**waiting, "linked_to": key, "facts": {}})
        return facts

    def _payment(self, key: str) -> PaymentRow:
        id_ = payment_id(self._organization_id, self._provider, key)
        payments = collection(self._tx.database, PaymentRow)
        found = payments.find_one({"_id": id_}, session=self._tx.session)
        return found or {
            "_id": id_,
            "organization_id": self._organization_id,
            "facts": {},
            "created_at": now(),
        }
