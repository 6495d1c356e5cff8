"""Gift change: one change of what the figures of a fundraiser include of a gift.

It holds IDs and amounts, and no names or addresses. So it stays when a person is erased.
"""

from mongoengine import DateTimeField, DictField, IntField, ListField, ObjectIdField, StringField

from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META


class GiftChange(Document):
    """A row that settling inserts. Nothing changes it later.

    - at: the time of the settlement, which the journal has, too.
    - kinds: the first one explains the difference; see `GiftChangeKind`.
    - mailing_id: mailing of the gift after the change, or else before it.
    - before, after: match, email, mailing and net amount; None if the gift did not count.
    - difference: minor units that the change adds to the amount raised.
    - refunded: minor units that it adds to the refunded amount.
    - gifts: 1, 0 or -1, which it adds to the number of gifts.
    """

    organization_id = ObjectIdField(required=True)
    fundraiser_id = ObjectIdField(required=True)
    mailing_id = ObjectIdField()
    donation_id = ObjectIdField(required=True)
    at = DateTimeField(required=True)
    kinds = ListField(StringField())
    currency = StringField(required=True)
    before = DictField(default=None)
    after = DictField(default=None)
    difference = IntField(required=True)
    refunded = IntField(required=True)
    gifts = IntField(required=True)

    meta = {
        "collection": "gift_changes",
        "auto_create_index": False,
        "indexes": [["fundraiser_id", "at", "id"]],
        **OWNED_META,
    }
