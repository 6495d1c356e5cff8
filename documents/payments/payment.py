"""A payment as webhooks report it: facts, and the gift that follows from them."""

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

from documents.erased.stand_ins import plain_key
from documents.errors import NotFound
from documents.payments.facts import Fact, merge
from documents.payments.facts_without_person import replace_texts, without_person
from documents.payments.named_by import named_by
from documents.payments.reasons import condition
from documents.rows.payment import PaymentRow
from documents.storage.base import Document
from documents.storage.marks import known_index
from documents.storage.tenancy import OWNED
from matchback.engine import Tx


class Payment(Document):
    """One gift's payment. Its id is "<organization>:<provider>:<key>".

    public_id: by which clients name it; none for an invoice whose payment is known, or a plan.
    key: the key, while there is no gift, if the id has its digest.
    reason: why there is no gift; see payments/reasons.py.
    assigned: the fundraiser that a person chose: {"fundraiser_id": id, "at": time}.
    facts: by what they are snapshots of; see payments/facts.py.
    linked_to: of an invoice, the key of the payment that it turned out to be of.
    instalments: of a plan (a subscription), the keys of the payments and invoices that name it.
    gift_currency: of a gift that a client recorded, which may be another than the payment's.
    notes: facts that change nothing although they look as if they should, and why.
    donation_id: the gift, once there is one; its external_id may be taken away by erasing.
    applied: what was made of the gift last, so that what clients say after that stays.
    erased: the person is not kept, whatever is reported later.
    forgotten: stand-ins of texts that name the person; see payments/facts_without_person.py.
    replaced: of somebody else's payment, what stands in place of texts that name an erased person.
    named_by: what an erasure finds it by; see payments/named_by.py.
    stripped_for: the erased users whose payment it is.
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

    identity = "public_id"  # by which lists are sorted; see page.py
    meta = {
        "collection": "payments",
        "auto_create_index": False,
        "indexes": [
            ["organization_id", "public_id"],
            ["organization_id", "reason", "public_id"],
            ["organization_id", "named_by"],
            known_index("donation_id"),
        ],
        **OWNED,
    }

    @classmethod
    def filters(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Return a list's filters as conditions on stored fields."""
        conditions: list[dict[str, Any]] = [{"public_id": {"$type": "objectId"}}]
        if "reason" in given:
            conditions.append({"reason": given["reason"]})
        if "status" in given:
            conditions.append({"reason": condition(given["status"])})
        return {"$and": conditions}

    @classmethod
    def unassigned(cls, organization_id: ObjectId, most: int) -> str:
        """Return how many payments wait for a fundraiser, as "3" or "100+"; blank for none."""
        query = {"organization_id": organization_id, **cls.filters({"status": "unassigned"})}
        number = cls.objects(__raw__=query).limit(most + 1).count(with_limit_and_skip=True)
        return f"{most}+" if number > most else str(number or "")

    @classmethod
    def fetch(cls, organization_id: ObjectId, id_: ObjectId | str) -> Self:
        """Return a payment by its public ID.

        Raises:
            NotFound: there is none in the organization.
        """
        query = {"organization_id": organization_id, "public_id": id_}
        payment: Self | None = cls.objects(**query).first() if ObjectId.is_valid(id_) else None
        if payment is None:
            raise NotFound
        return payment


def split_id(id_: str) -> tuple[str, str]:
    """Return the provider and the key, or its digest, that a payment's id holds."""
    _, provider, key = id_.split(":", 2)
    return provider, key


def key_of(payment: PaymentRow) -> str:
    """Return the provider's ID of a payment; its digest once the person was erased."""
    return payment.get("key") or split_id(payment["_id"])[1]


def payment_id(organization_id: ObjectId, provider: str, key: str) -> str:
    """Return the ID of a payment, which has a digest of a key that may name a person."""
    return f"{organization_id}:{provider}:{plain_key(key)}"


def assigned_fundraiser(payment: PaymentRow) -> ObjectId | None:
    """Return the fundraiser that a person assigned to a payment."""
    assigned = payment.get("assigned")
    return assigned["fundraiser_id"] if assigned else None


def learn(payment: PaymentRow, facts: Mapping[str, Fact]) -> bool:
    """Add facts to a payment's row. Returns whether that changed anything."""
    known: dict[str, Any] = merge(payment.get("facts", {}), facts)
    if payment.get("erased"):
        forgotten = payment.get("forgotten", ())
        known = without_person(known, payment["organization_id"], forgotten)
    if replaced := payment.get("replaced"):
        known = replace_texts(known, payment["organization_id"], replaced)
    changed = bool(known != payment.get("facts", {}))
    payment["facts"] = known
    return changed


def store(tx: Tx, payment: PaymentRow) -> None:
    """Write a payment's row, with the mailboxes that its texts name by now."""
    row = payment | {"named_by": named_by(payment)}
    tx.database.payments.replace_one({"_id": row["_id"]}, row, upsert=True, session=tx.session)
