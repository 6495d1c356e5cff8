"""The transaction that stores what webhooks report about payments: facts, links and gifts."""

from dataclasses import dataclass, field
from typing import Any, Literal

from bson import ObjectId

from documents.errors import Unusable
from documents.payments.facts import PaymentFact, PaymentFacts, merge_facts
from documents.payments.gift import apply_payment
from documents.payments.payment import add_facts, make_payment_id, store
from documents.payments.rules import find_odd_facts, list_plans
from documents.rows.collections import collection
from documents.rows.payment import InheritedFields, PaymentRow
from documents.values.time import now
from matchback.engine import Tx

# Fields that an invoice loses when its payment becomes known.
PAYMENT_ONLY_FIELDS: tuple[Literal["public_id", "reason", "key", "assigned"], ...] = (
    "public_id",
    "reason",
    "key",
    "assigned",
)
# Fields that a person or an erasure set while only the invoice was known.
INHERITED_FIELDS = frozenset(InheritedFields.__annotations__)


@dataclass
class WebhookFacts:
    """The content of a delivery.

    Attributes:
        facts: the facts, by the key of their payment.
        link: an invoice, and the key of its payment.
        note: why the delivery changes no gift.
    """

    facts: dict[str, dict[str, PaymentFact]] = field(default_factory=dict)
    link: tuple[str, str] | None = None
    note: str = ""


class PaymentWriter:
    """The writer of an organization's payments through one provider, within a transaction."""

    def __init__(self, tx: Tx, organization_id: ObjectId, provider: str) -> None:
        self._tx = tx
        self._organization_id = organization_id
        self._provider = provider
        self.is_about_erased = False  # True if a webhook is about an erased person
        self._inherited: dict[str, InheritedFields] = {}  # from invoices, by the key of the payment
        self.notes: list[str] = []  # on the webhooks, and on earlier facts that now matter

    def enter(self, told: WebhookFacts) -> set[ObjectId]:
        """Merge a webhook's facts. Return the fundraisers of the gifts that it concerns.

        Raises:
            Unusable: the payment cannot become a gift, for example because it names no known
                fundraiser.
        """
        entries = dict(told.facts)
        self.notes += [told.note] if told.note else []
        if told.link:
            invoice, key = told.link
            entries[key] = merge_facts(entries.get(key, {}), self._follow(invoice, key))
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
            changed = add_facts(payment, facts)
            try:
                fundraiser_id = apply_payment(self._tx, payment, key)
            except Unusable as error:
                refusal, fundraiser_id = error, None
            changed |= self._note(payment, facts)
            if fundraiser_id:
                fundraisers.add(fundraiser_id)
            if changed or fundraiser_id or payment.get("reason") != was:
                store(self._tx, payment)
            self.is_about_erased |= bool(payment.get("erased"))
        if refusal:
            raise refusal
        return fundraisers

    def _with_plans(self, entries: dict[str, PaymentFacts]) -> dict[str, PaymentFacts]:
        """Replace entries about whole plans with entries about their instalments.

        A session reports a plan once, perhaps after its instalments. Both write the plan's row. So
        if their transactions overlap, a write conflict makes one retry, and it reads the other.
        """
        result = {key: facts for key, facts in entries.items() if key not in list_plans(facts)}
        for key, facts in entries.items():
            for plan in list_plans(facts):
                row = self._payment(plan)
                known = row.setdefault("instalments", [])
                changed = add_facts(row, facts) if plan == key else False
                if plan != key and key not in known:
                    known.append(key)
                    changed = True
                if changed:
                    store(self._tx, row)
                for one in known if plan == key else [key]:
                    result[one] = merge_facts(result.get(one, {}), row["facts"])
        return result

    def _note(self, payment: PaymentRow, facts: PaymentFacts) -> bool:
        """Note the payment's odd facts. Return whether this changed its row."""
        odd = find_odd_facts(payment["facts"], payment.get("gift_currency"))
        known = payment.get("notes", {})
        self.notes += [why for id_, why in odd.items() if id_ in facts or id_ not in known]
        if odd or known:
            payment["notes"] = odd
        return bool(odd != known)

    def _follow(self, invoice: str, key: str) -> dict[str, PaymentFact]:
        """Link an invoice to its payment. Return the earlier facts of the invoice."""
        waiting = self._payment(invoice)
        facts: dict[str, PaymentFact] = waiting["facts"]
        if waiting.get("linked_to") != key:
            known = {name: value for name, value in waiting.items() if value}
            inherited: Any = {name: known[name] for name in known.keys() & INHERITED_FIELDS}
            self._inherited[key] = inherited
            for name in PAYMENT_ONLY_FIELDS:
                waiting.pop(name, None)
            store(self._tx, {**waiting, "linked_to": key, "facts": {}})
        return facts

    def _payment(self, key: str) -> PaymentRow:
        id_ = make_payment_id(self._organization_id, self._provider, key)
        payments = collection(self._tx.database, PaymentRow)
        found = payments.find_one({"_id": id_}, session=self._tx.session)
        return found or {
            "_id": id_,
            "organization_id": self._organization_id,
            "facts": {},
            "created_at": now(),
        }
