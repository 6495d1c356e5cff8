"""Past matches: the earlier decisions on a gift.

The transaction that replaces a decision also stores the old one here.
"""

from datetime import datetime
from typing import Self

from bson import ObjectId
from mongoengine import DateTimeField, DictField, ObjectIdField, StringField

from documents.rows.donation import DonationRow, MatchFields, PastMatchRow
from documents.storage.base import Document
from documents.storage.former_match import FormerMatchReader, list_stored_names
from documents.storage.tenancy import OWNED_META

MAX_SHOWN_PAST_MATCHES = 100


class PastMatch(FormerMatchReader, Document):
    """A decision on a gift that a later decision replaced."""

    organization_id = ObjectIdField(required=True)
    donation_id = ObjectIdField(required=True)
    fundraiser_id = ObjectIdField()  # rows of earlier versions lack it
    match = StringField()
    email_id = ObjectIdField()
    decision = DictField()
    replaced_at = DateTimeField(required=True)

    meta = {
        "collection": "past_matches",
        **OWNED_META,
        "auto_create_index": False,
        "indexes": [["donation_id", "id"], ["fundraiser_id", "replaced_at"]],
    }

    @classmethod
    def of(cls, organization_id: ObjectId, donation_id: ObjectId) -> list[Self]:
        """Return at most 100 past decisions on a gift, newest first."""
        of = {"organization_id": organization_id, "donation_id": donation_id}
        return list(cls.objects(**of).order_by("-id").limit(MAX_SHOWN_PAST_MATCHES))


def build_past_match(gift: DonationRow, update: MatchFields, at: datetime) -> PastMatchRow | None:
    """Return the row that keeps a gift's decision, or None if the update does not replace it."""
    matched, email_id, decision = gift.get("match"), gift.get("email_id"), gift.get("decision")
    if not matched or not decision:
        return None
    new = update.get("decision")
    after = update.get("email_id"), new["rule"] if new else None
    is_same_class = matched in list_stored_names(update.get("match"))
    if is_same_class and (email_id, decision["rule"]) == after:
        return None
    past: PastMatchRow = {
        "_id": ObjectId(),
        "organization_id": gift["organization_id"],
        "donation_id": gift["_id"],
        "fundraiser_id": gift["fundraiser_id"],
        "match": matched,
        "decision": decision,
        "replaced_at": at,
    }
    if email_id:
        past["email_id"] = email_id
    return past
