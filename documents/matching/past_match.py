"""Past matches: what a gift was matched to before.

The transaction that changes a match also stores the old one.
"""

from datetime import datetime
from typing import Any, Self

from bson import ObjectId
from mongoengine import DateTimeField, DictField, ObjectIdField, StringField

from documents.storage.base import Document
from documents.storage.tenancy import OWNED
from matchback.engine import Row

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


def past_match(gift: Row, update: dict[str, Any], at: datetime) -> Row | None:
    """Return the row that keeps a gift's decision, if the update replaces it by another one."""
    decision, new = gift.get("decision"), update.get("decision") or {}
    if not gift.get("match") or not decision:
        return None
    before = gift["match"], gift.get("email_id"), decision["rule"]
    if before == (update.get("match"), update.get("email_id"), new.get("rule")):
        return None
    kept = {name: gift[name] for name in ("match", "email_id", "decision") if gift.get(name)}
    of = {"organization_id": gift["organization_id"], "donation_id": gift["_id"]}
    return {"_id": ObjectId(), **of, **kept, "replaced_at": at}
