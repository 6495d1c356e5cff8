"""Payments as webhooks report them: facts, and the gift that follows from the facts."""

from collections.abc import Mapping
from typing import Any, Self

from bson import ObjectId
from mongoengine import (
    BooleanField,
    DateTimeField,
    DictField,
    ListField,
    ObjectIdField,
    StringField,
)

from documents.erased.stand_ins import digest_personal_key
from documents.errors import NotFound
from documents.payments.facts import PaymentFact, merge_facts
from documents.payments.facts_without_person import remove_person, replace_personal_texts
from documents.payments.named_by import named_by
from documents.payments.reasons import build_status_condition
from documents.rows.payment import PaymentRow
from documents.storage.base import Document
from documents.storage.marks import known_index
from documents.storage.tenancy import OWNED_META
from matchback.engine import Tx

# The first payment of each organization that waits for the same reason.
REASON_INDEX_FIELDS = ("reason", "organization_id", "public_id")


class Payment(Document):
    """The payment of one gift. Its ID is "<organization>:<provider>:<key>".

    Attributes:
        public_id: the ID that clients use; None for a plan, or an invoice whose payment is known.
        key: the provider's key while no gift exists, if the ID contains only its digest.
        reason: the code why the payment has no gift; see payments/reasons.py.
        assigned: the fundraiser that a person chose, as {"fundraiser_id": id, "at": time}.
        facts: the latest snapshots, by the ID of the object; see payments/facts.py.
        linked_to: for an invoice, the key of its payment.
        instalments: for a plan (a subscription), the keys of its payments and invoices.
        gift_currency: the currency of a gift that a client recorded; the payment's may differ.
        notes: the reasons why some facts unexpectedly change nothing, by the ID of the fact.
        donation_id: the gift; an erasure may have replaced its external_id.
        applied: the state last written to the gift, so that later changes by clients stay.
        erased: True if Matchback removes the person from all facts, including later ones.
        forgotten: stand-ins of texts that name the person; see facts_without_person.py.
        replaced: the replacements of texts in this payment that name another, erased person.
        named_by: the keys by which an erasure finds the payment; see payments/named_by.py.
        stripped_for: the erased users whose payment this is.
    """

    id = StringField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    public_id = ObjectIdField()
    key = StringField()
    reason = StringField()
    assigned = DictField(default=None)
    facts = DictField()
    linked_to = StringField()
    instalments = ListField(StringField())
    gift_currency = StringField()
    notes = DictField()
    donation_id = ObjectIdField()
    applied = DictField()
    erased = BooleanField()
    forgotten = ListField(StringField())
    replaced = DictField(default=None)
    named_by = ListField(StringField())
    stripped_for = ListField(ObjectIdField())
    created_at = DateTimeField()

    identity = "public_id"  # the sort key of lists; see pagination.py
    meta = {
        "collection": "payments",
        "auto_create_index": False,
        "indexes": [
            ["organization_id", "public_id"],
            ["organization_id", "reason", "public_id"],
            ["organization_id", "named_by"],
            known_index("donation_id"),
            known_index(*REASON_INDEX_FIELDS),
        ],
        **OWNED_META,
    }

    @classmethod
    def filters(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Return a list's filters as conditions on stored fields."""
        conditions: list[dict[str, Any]] = [{"public_id": {"$type": "objectId"}}]
        if "reason" in given:
            conditions.append({"reason": given["reason"]})
        if "status" in given:
            conditions.append({"reason": build_status_condition(given["status"])})
        return {"$and": conditions}

    @classmethod
    def unassigned(cls, organization_id: ObjectId, most: int) -> str:
        """Return the number of unassigned payments, such as "3" or "100+"; blank for none."""
        query = {"organization_id": organization_id, **cls.filters({"status": "unassigned"})}
        number = cls.objects(__raw__=query).limit(most + 1).count(with_limit_and_skip=True)
        return f"{most}+" if number > most else str(number or "")

    @classmethod
    def fetch(cls, organization_id: ObjectId, id_: ObjectId | str) -> Self:
        """Return a payment by its public ID.

        Raises:
            NotFound: the organization has no such payment.
        """
        query = {"organization_id": organization_id, "public_id": id_}
        payment: Self | None = cls.objects(**query).first() if ObjectId.is_valid(id_) else None
        if payment is None:
            raise NotFound
        return payment


def split_payment_id(id_: str) -> tuple[str, str]:
    """Return the provider and the key, or the digest of the key, from a payment's ID."""
    _, provider, key = id_.split(":", 2)
    return provider, key


def read_provider_key(payment: PaymentRow) -> str:
    """Return the provider's ID of a payment, or its digest after an erasure."""
    return payment.get("key") or split_payment_id(payment["_id"])[1]


def make_payment_id(organization_id: ObjectId, provider: str, key: str) -> str:
    """Return the ID of a payment. It contains only a digest of a key that may name a person."""
    return f"{organization_id}:{provider}:{digest_personal_key(key)}"


def assigned_fundraiser(payment: PaymentRow) -> ObjectId | None:
    """Return the fundraiser that a person assigned to a payment."""
    assigned = payment.get("assigned")
    return assigned["fundraiser_id"] if assigned else None


def add_facts(payment: PaymentRow, facts: Mapping[str, PaymentFact]) -> bool:
    """Add facts to a payment's row, and return whether the row changed."""
    known: dict[str, Any] = merge_facts(payment.get("facts", {}), facts)
    if payment.get("erased"):
        forgotten = payment.get("forgotten", ())
        known = remove_person(known, payment["organization_id"], forgotten)
    if replaced := payment.get("replaced"):
        known = replace_personal_texts(known, payment["organization_id"], replaced)
    changed = bool(known != payment.get("facts", {}))
    payment["facts"] = known
    return changed


def store(tx: Tx, payment: PaymentRow) -> None:
    """Write a payment's row, with the keys by which an erasure finds it."""
    row = payment | {"named_by": named_by(payment)}
    tx.database.payments.replace_one({"_id": row["_id"]}, row, upsert=True, session=tx.session)
