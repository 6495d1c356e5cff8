"""A payment as webhooks tell of it: facts, and the gift that follows from them."""

import hashlib
from collections.abc import Mapping
from typing import Any

from bson import ObjectId
from mongoengine import (
    BooleanField,
    DateTimeField,
    DictField,
    ListField,
    ObjectIdField,
    StringField,
)

from documents.engine.contribution import Row
from documents.payment_facts import Fact, merge
from documents.payment_person import without_person
from documents.stored import Document
from documents.stripe_values import ID


class Payment(Document):
    """One gift's payment. Its id is "<organization>:<provider>:<key>".

    facts: by what they are snapshots of; see payment_facts.py.
    linked_to: of an invoice, the key of the payment that it turned out to be of.
    instalments: of a plan (a subscription), the keys of the payments and invoices that name it.
    gift_currency: of a gift that a client recorded, which may be another than the payment's.
    notes: facts that change nothing although they look as if they should, and why.
    donation_id: the gift, once there is one; its external_id may be taken away by erasing.
    applied: what was made of the gift last, so that what clients say after that stays.
    erased: the person is not kept, whatever is reported later.
    forgotten: stand-ins of texts that name the person; see payment_person.py.
    """

    id = StringField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    facts = DictField()
    linked_to = StringField()
    instalments = ListField(StringField())
    gift_currency = StringField()
    notes = DictField()
    donation_id = ObjectIdField()
    applied = DictField()
    erased = BooleanField()
    forgotten = ListField(StringField())
    created_at = DateTimeField()

    meta = {"collection": "payments", "auto_create_index": False, "indexes": ["organization_id"]}


def payment_id(organization_id: ObjectId, provider: str, key: str) -> str:
    """The id of a payment. A key that may tell of a person, such as an address, is a digest in it,
    for an id cannot be changed when that person is erased."""
    plain = key if ID.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()
    return f"{organization_id}:{provider}:{plain}"


def learn(payment: Row, facts: Mapping[str, Fact]) -> bool:
    """Add facts to a payment's row. Returns whether that changed anything."""
    known: dict[str, Any] = merge(payment.get("facts", {}), facts)
    if payment.get("erased"):
        forgotten = payment.get("forgotten", ())
        known = without_person(known, payment["organization_id"], forgotten)
    changed = known != payment.get("facts", {})
    payment["facts"] = known
    return changed
