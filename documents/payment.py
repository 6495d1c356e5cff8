"""A payment as webhooks tell of it: facts, and the gift that follows from them."""

from collections.abc import Mapping
from typing import Any

from bson import ObjectId
from mongoengine import BooleanField, DateTimeField, DictField, Document, ObjectIdField, StringField

from documents.engine.contribution import Row
from documents.payment_state import Fact, merge, without_person


class Payment(Document):
    """One gift's payment. Its id is "<organization>:<provider>:<key>".

    facts: by what they are snapshots of; see payment_state.py.
    linked_to: of an invoice, the key of the payment that it turned out to be of.
    applied: what was made of the gift last, so that what clients say after that stays.
    erased: the person is not to be kept, whatever is told later.
    """

    id = StringField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    facts = DictField()
    linked_to = StringField()
    applied = DictField()
    erased = BooleanField()
    created_at = DateTimeField()

    meta = {"collection": "payments", "auto_create_index": False, "indexes": ["organization_id"]}


def payment_id(organization_id: ObjectId, provider: str, key: str) -> str:
    """The id of a payment."""
    return f"{organization_id}:{provider}:{key}"


def learn(payment: Row, facts: Mapping[str, Fact]) -> bool:
    """Add facts to a payment's row. Returns whether that changed anything."""
    known: dict[str, Any] = merge(payment.get("facts", {}), facts)
    if payment.get("erased"):
        known = without_person(known)
    changed = known != payment.get("facts", {})
    payment["facts"] = known
    return changed
