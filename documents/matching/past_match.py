"""Past matches: what a gift was matched to before.

The transaction that changes a match also stores the old one.
"""

from datetime import datetime
from typing import Self

from bson import ObjectId
from mongoengine import DateTimeField, DictField, ObjectIdField, StringField

from documents.rows.donation import DonationRow, MatchFields, PastMatchRow
from documents.storage.base import Document
from documents.storage.tenancy import OWNED

SHOWN = 100


class PastMatch(Document):
    """A decision that another one replaced."""

    organization_id = ObjectIdField(required=True)
    donation_id = ObjectIdField(required=True)
    match = StringField()
    email_id = ObjectIdField()
    decision = DictField()
    replaced_at = DateTimeField(required=True)

    meta = {
        "collection": "past_matches",
        **OWNED,
        "auto_create_index": False,
        "indexes": [["donation_id", "id"]],
    }

    @classmethod
    def of(cls, organization_id: ObjectId, donation_id: ObjectId) -> list[Self]:
        """The decisions of a gift that were replaced, the latest first; a hundred at the most."""
        of = {"organization_id": organization_id, "donation_id": donation_id}
        return list(cls.objects(**of).order_by("-id").limit(SHOWN))


def past_match(gift: DonationRow, update: MatchFields, at: datetime) -> PastMatchRow | None:
    """Return the row that keeps a gift's decision, if the update replaces it by another one."""
    matched, email_id, decision = gift.get("match"), gift.get("email_id"), gift.get("decision")
    if not matched or not decision:
        return None
    new = update.get("decision")
    after = update.get("match"), update.get("email_id"), new["rule"] if new else None
    if (matched, email_id, decision["rule"]) == after:
        return None
    past: PastMatchRow = {
        "_id": ObjectId(),
        "organization_id": gift["organization_id"],
        "donation_id": gift["_id"],
        "match": matched,
        "decision": decision,
        "replaced_at": at,
    }
    if email_id:
        past["email_id"] = email_id
    return past
